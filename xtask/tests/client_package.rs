//! Sloe's Salesforce package, checked by every tool that needs no org: an org
//! says the same when somebody deploys, but then it is too late. Each check
//! that has no tests of its own must also find a planted fault.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ADVICE: &str = "`cargo xtask clients` installs the tools";
const SOURCE: &str = "force-app/main/default";

/// A copy of the package, as an admin would have it with its tools installed.
struct Package(PathBuf);

impl Package {
    /// Each test has its own, at a place that stays: Jest keeps what it compiled by path.
    fn copy(test: &str) -> Self {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../salesforce");
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("salesforce-{test}"));
        if to.exists() {
            fs::remove_dir_all(&to).unwrap();
        }
        copy(&from, &to);
        let tools = installed("package/node_modules");
        assert!(tools.is_dir(), "{}: {ADVICE}", tools.display());
        std::os::unix::fs::symlink(tools, to.join("node_modules")).unwrap();
        Self(to)
    }

    /// Puts `new` where `old` stands, once.
    fn plant(&self, file: &str, old: &str, new: &str) {
        let path = self.0.join(file);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(old), "{file} holds no {old}");
        fs::write(path, text.replacen(old, new, 1)).unwrap();
    }

    /// Runs a tool in the package; what it says, as the error if it ended badly.
    fn run(&self, command: &mut Command) -> Result<String, String> {
        command.current_dir(&self.0).env("HOME", &self.0).env("CI", "true").stdin(Stdio::null());
        for name in ["XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        let output = command.output();
        let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}; {ADVICE}"));
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if output.status.success() { Ok(said) } else { Err(said) }
    }

    fn prettier(&self) -> Result<String, String> {
        self.run(node("node_modules/prettier/bin/prettier.cjs").args(["--check", "."]))
    }

    fn apex(&self) -> Result<String, String> {
        self.run(&mut node("checks/apex.mjs"))
    }

    fn python(&self, check: &str) -> Result<String, String> {
        self.run(Command::new(installed("pip/bin/python")).arg("-B").arg(check))
    }

    /// The `package.xml` and all that the sf command line makes of one folder.
    fn convert(&self, folder: &str) -> Result<PathBuf, String> {
        let cli = installed("npm/node_modules/@salesforce/cli/bin/run.js");
        let mut sf = node(cli.to_str().unwrap());
        sf.args(["project", "convert", "source", "--json", "--output-dir", "converted"]);
        sf.env("SF_AUTOUPDATE_DISABLE", "true").env("SF_DISABLE_TELEMETRY", "true");
        sf.env("SF_DISABLE_LOG_FILE", "true").env("SF_SKIP_NEW_VERSION_CHECK", "true");
        self.run(sf.args(["--source-dir", folder])).map(|_| self.0.join("converted"))
    }
}

/// Where `cargo xtask clients` puts the tools.
fn installed(part: &str) -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = || Path::new(&variable("HOME").expect("a home directory")).join(".cache");
    variable("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("sloe/clients").join(part)
}

/// A program for node: the one that is installed with the clients, where npm has one for the
/// platform, because the sf command line wants a newer one than many machines have.
fn node(program: &str) -> Command {
    let brought = ["x64", "arm64"].map(|cpu| format!("npm/node_modules/node-linux-{cpu}/bin/node"));
    let brought = brought.iter().map(|path| installed(path)).find(|path| path.is_file());
    let mut node = Command::new(brought.unwrap_or_else(|| PathBuf::from("node")));
    node.arg(program);
    node
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (name, kind) = (entry.file_name(), entry.file_type().unwrap());
        if kind.is_dir() && name != "node_modules" {
            copy(&entry.path(), &to.join(name));
        } else if kind.is_file() {
            fs::copy(entry.path(), to.join(name)).unwrap();
        }
    }
}

/// The check ends badly and says why.
fn assert_finds<T: std::fmt::Debug>(outcome: Result<T, String>, fault: &str) {
    match outcome {
        Ok(said) => panic!("nothing was found: {said:?}"),
        Err(said) => assert!(said.contains(fault), "{fault} is not in:\n{said}"),
    }
}

#[test]
fn the_components_show_every_outcome() {
    let package = Package::copy("components");
    let mut jest = node("node_modules/@salesforce/sfdx-lwc-jest/bin/sfdx-lwc-jest");
    let said = package.run(jest.args(["--", "--ci", "--silent"])).unwrap_or_else(|e| panic!("{e}"));
    assert!(said.contains("Test Suites: 4 passed, 4 total"), "{said}");
}

#[test]
fn everything_is_formatted() {
    let package = Package::copy("format");
    package.prettier().unwrap_or_else(|said| panic!("`npm run format` in salesforce/:\n{said}"));
    package.plant(&format!("{SOURCE}/classes/SloeUpdate.cls"), "  private", "   private");
    package.plant(&format!("{SOURCE}/tabs/Sloe_Update.tab-meta.xml"), "    <label>", "  <label>");
    assert_finds(package.prettier(), "classes/SloeUpdate.cls");
    assert_finds(package.prettier(), "tabs/Sloe_Update.tab-meta.xml");
}

#[test]
fn the_apex_classes_parse() {
    let package = Package::copy("apex");
    let said = package.apex().unwrap_or_else(|said| panic!("{said}"));
    assert!(said.contains("2 Apex classes parsed"), "{said}");
    package.plant(
        &format!("{SOURCE}/classes/SloeUpdate.cls"),
        "request.setBody(body);",
        "request.;",
    );
    assert_finds(package.apex(), "SloeUpdate.cls:");
}

#[test]
fn the_sf_command_line_converts_every_folder() {
    let package = Package::copy("convert");
    for (folder, members) in [
        ("force-app", &["Sloe_Event__c.Sloe_Update", "sloeUpdateAction"][..]),
        ("change-events", &["ChangeEvents_Sloe_Event_ChangeEvent"][..]),
        ("client-app", &["Sloe", "Sloe_OAuth", "Sloe_Global"][..]),
    ] {
        let converted = package.convert(folder).unwrap_or_else(|said| panic!("{said}"));
        let manifest = fs::read_to_string(converted.join("package.xml")).unwrap();
        for member in members {
            assert!(manifest.contains(&format!("<members>{member}</members>")), "{manifest}");
        }
        assert!(!converted.join("lwc/sloeUpdate/__tests__").exists(), "tests are not deployed");
        fs::remove_dir_all(converted).unwrap();
    }
    let tabs = package.0.join(SOURCE).join("tabs");
    fs::rename(tabs.join("Sloe_Update.tab-meta.xml"), tabs.join("Sloe_Update.tap-meta.xml"))
        .unwrap();
    assert_finds(package.convert("force-app"), "Sloe_Update.tap-meta.xml");
}

#[test]
fn the_metadata_is_what_salesforce_describes() {
    let package = Package::copy("metadata");
    let check = || package.python("checks/metadata.py");
    check().unwrap_or_else(|said| panic!("{said}"));
    let plant = |file: &str, old, new| package.plant(&format!("{SOURCE}/{file}"), old, new);
    let credential = "externalCredentials/Sloe.externalCredential-meta.xml";
    plant(credential, "<parameterType>AuthHeader<", "<parameterType>AuthHeder<");
    plant("tabs/Sloe_Event__c.tab-meta.xml", "<customObject>true<", "<customObject>yes<");
    plant("tabs/Sloe_Update.tab-meta.xml", "flexiPage>", "flexipage>");
    plant(
        "layouts/Sloe_Item__c-Item Layout.layout-meta.xml",
        "<style>",
        "<style>OneColumn</style><style>",
    );
    plant("groups/Sloe_Integration.group-meta.xml", "<name>Sloe Integration</name>", "");
    let said = check().unwrap_err();
    for fault in [
        "ExternalCredentialParamType has no choice AuthHeder",
        "yes is no boolean",
        "Sloe_Update.tab-meta.xml: mismatched tag",
        "<style> is there 2 times",
        "Group needs <name>",
    ] {
        assert!(said.contains(fault), "{fault} is not in:\n{said}");
    }
}

#[test]
fn whatever_the_package_names_is_there() {
    let package = Package::copy("references");
    let check = || package.python("checks/references.py");
    check().unwrap_or_else(|said| panic!("{said}"));
    let plant = |file: &str, old, new| package.plant(&format!("{SOURCE}/{file}"), old, new);
    let viewer = "permissionsets/Sloe_Viewer.permissionset-meta.xml";
    plant(viewer, "Sloe_Event__c.Capacity__c", "Sloe_Event__c.Capacty__c");
    plant(viewer, "Sloe_Event__c.Description__c", "Sloe_Event__c.Starts_At__c");
    plant(
        "objects/Sloe_Attendee__c/listViews/Cancelled.listView-meta.xml",
        "<value>Cancelled<",
        "<value>Canceled<",
    );
    plant(
        "lwc/sloeUpdatePanel/sloeUpdatePanel.js",
        "SloeUpdate.updateAll",
        "SloeUpdate.updateEverything",
    );
    plant("classes/SloeUpdate.cls", "'callout:Sloe/", "'callout:Slow/");
    let app = "../../../client-app/main/default";
    plant(
        &format!("{app}/extlClntAppOauthSettings/Sloe_OAuth.ecaOauth-meta.xml"),
        ">Sloe<",
        ">Slow<",
    );
    plant(
        &format!("{app}/extlClntAppGlobalOauthSets/Sloe_Global.ecaGlblOauth-meta.xml"),
        "<externalClient",
        "<consumerSecret>x</consumerSecret><externalClient",
    );
    let integration = "permissionsets/Sloe_Integration.permissionset-meta.xml";
    let invitations = "permissionsets/Sloe_Invitations.permissionset-meta.xml";
    plant(invitations, "<object>Account<", "<object>UserExternalCredential<");
    plant(invitations, "<object>Lead<", "<object>UserExternalCredential<");
    let long = format!("<description>{}", "x".repeat(255));
    plant(integration, "<description>", &long);
    let said = check().unwrap_err();
    for fault in [
        "no Read for Contact on Account",
        "no Read for Sloe_Attendee__c.Lead__c on Lead",
        "255 at most",
        "no field of Sloe_Event__c: Capacty__c",
        "Sloe_Event__c.Starts_At__c is required, so it may not be listed",
        "no choice Canceled",
        "no method for components in SloeUpdate: updateEverything",
        "no named credential Slow",
        "no external client app Slow",
        "<consumerSecret> must not lie in a file",
    ] {
        assert!(said.contains(fault), "{fault} is not in:\n{said}");
    }
}
