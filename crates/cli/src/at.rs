//! Where a platform's data is, and how one that runs is reached.

use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use sloe_store::embedded::Embedded;
use sloe_store::server;

use crate::boot;
use crate::cmd::Failure;
use crate::platform::{self, Running};

/// Where the store is where nobody says.
const HERE: &str = "embedded:./sloe-data";

/// Where the store is.
#[derive(Clone, Debug)]
pub(crate) enum StoreAt {
    /// In a directory of this machine.
    Embedded(PathBuf),
    /// On a server.
    Mongo(Address),
}

/// The address of a MongoDB. It holds a password: what is shown is where it leads.
#[derive(Clone)]
pub(crate) struct Address(String);

impl Address {
    /// The whole of it, for the driver.
    pub(crate) fn whole(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&server::shown(&self.0))
    }
}

impl fmt::Display for StoreAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(directory) => directory.display().fmt(f),
            Self::Mongo(address) => write!(f, "{address:?}"),
        }
    }
}

impl StoreAt {
    /// What is meant by a text, which is not repeated where it means nothing: it
    /// may hold a password.
    fn named(text: &str) -> Result<Self, Failure> {
        if server::is_address(text) {
            return Ok(Self::Mongo(Address(text.to_owned())));
        }
        match text.split_once(':') {
            Some(("embedded", directory)) if !directory.is_empty() => {
                // A demo keeps its store one folder deeper, beside its orgs; who names the
                // folder that it was told means that.
                let (given, of_demo) =
                    (Path::new(directory), Path::new(directory).join("platform"));
                let is_demo = !Embedded::exists(given) && Embedded::exists(&of_demo);
                let directory = if is_demo { &of_demo } else { given };
                Ok(Self::Embedded(directory.to_owned()))
            }
            _ => Err(Failure::new(
                "what --store or SLOE_STORE says is no store; use embedded:DIR or mongodb://HOST/DATABASE",
            )),
        }
    }
}

/// Which store.
#[derive(Args)]
pub(crate) struct Place {
    /// The store: embedded:DIR (./sloe-data if none is named), or mongodb://HOST/DATABASE. An
    /// address with a password is better in the variable, where other users don't see it;
    /// MONGODB_URI is taken too.
    #[arg(long, env = "SLOE_STORE", hide_env_values = true, value_name = "STORE")]
    store: Option<String>,
}

impl Place {
    /// Where it is.
    pub(crate) fn store(&self) -> Result<StoreAt, Failure> {
        let told = self.store.clone().filter(|store| !store.is_empty());
        StoreAt::named(&told.or_else(platform::mongodb_uri).unwrap_or_else(|| HERE.to_owned()))
    }
}

/// Which platform.
#[derive(Args)]
pub(crate) struct At {
    #[command(flatten)]
    place: Place,
    /// Ask the platform that is reached there, whatever its store is; it and this command are
    /// given the same secret in SLOE_ADMIN_TOKEN.
    #[arg(long, env = "SLOE_PLATFORM", value_name = "URL")]
    platform: Option<String>,
    /// File with that secret, instead of the variable.
    #[arg(long, env = "SLOE_ADMIN_TOKEN_FILE", value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
}

impl At {
    /// Where its data is.
    pub(crate) fn store(&self) -> Result<StoreAt, Failure> {
        self.place.store()
    }

    /// The running platform that is to be asked, if there is one.
    pub(crate) async fn running(&self) -> Result<Option<Running>, Failure> {
        let Some(url) = self.named_platform() else {
            return Ok(match self.store()? {
                StoreAt::Embedded(directory) => Running::find(&directory).await,
                // Which nodes run there is not known, and need not be: they follow the store.
                StoreAt::Mongo(_) => None,
            });
        };
        let token = platform::admin_token(self.admin_token_file.as_deref())?;
        let token = token.ok_or_else(|| {
            Failure::new(
                "--platform needs the platform's secret: SLOE_ADMIN_TOKEN, or --admin-token-file",
            )
        })?;
        Running::at(url, token).map(Some)
    }

    /// The address of the platform that is to be asked, if one is named.
    pub(crate) fn named_platform(&self) -> Option<&str> {
        self.platform.as_deref().filter(|url| !url.is_empty())
    }

    /// Asks a platform that runs; on a shared store an engine of our own, as what
    /// the nodes are to do is left for them there.
    pub(crate) async fn ask(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        if let Some(running) = self.running().await? {
            return running.ask(path, body).await;
        }
        let store = self.store()?;
        match &store {
            StoreAt::Embedded(directory) => Err(Failure::new(format!(
                "no platform runs on {}: start it with sloe serve, or name its store with --store",
                directory.display()
            ))),
            StoreAt::Mongo(_) => boot::ask_alone(&store, path, body).await,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password_and_a_bad_one_not_at_all() {
        let at = StoreAt::named("mongodb://sloe:hunter2@db.example/events").unwrap();
        for told in [at.to_string(), format!("{at:?}")] {
            assert!(told.contains("db.example") && !told.contains("hunter2"), "{told}");
        }
        let bad = StoreAt::named("mongo://sloe:hunter2@db.example").unwrap_err().to_string();
        assert!(bad.contains("mongodb://") && !bad.contains("hunter2"), "{bad}");
        assert!(matches!(StoreAt::named("embedded:here").unwrap(), StoreAt::Embedded(_)));
        assert!(StoreAt::named("embedded:").is_err());
    }
}
