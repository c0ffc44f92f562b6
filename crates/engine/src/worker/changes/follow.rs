//! One org's subscriptions: one an object, each going on where it was, and
//! each for itself when it fails.

use std::sync::Arc;
use std::time::Duration;

use sloe_core::time::Timestamp;
use sloe_salesforce::Org as Client;
use sloe_salesforce::events::{
    Entity, Feed, FeedAdvice, FeedError, News, ReplayId, Start, Subscription,
};
use sloe_store::api::{StoreError, Write};
use sloe_store::key::Key;

use super::file::Place;
use super::target::wanted;
use crate::changes::{Part, Source};
use crate::engine::Engine;
use crate::tenant::Org;
use crate::worker::failed::{LONGEST, MENDING};
use crate::worker::orgs::OrgWork;
use crate::worker::outbox::file;
use crate::worker::stored;

/// The pause after the org said that nothing is left.
const NOTHING_LEFT: Duration = Duration::from_secs(15 * 60);
/// How often it is looked whether the org's connection or mapping is another one.
const LOOK: Duration = Duration::from_secs(1);
/// A subscription that was not refused so long stands.
const SETTLED: Duration = Duration::from_secs(1);

/// Follows until the org's connection or mapping is another one.
pub(super) async fn follow(engine: &Engine, work: &OrgWork, org: &Org, source: &Source) {
    let other = async {
        let same = || {
            engine.registry().by_id(org.id()).is_some_and(|now| {
                now.version == org.version && Arc::ptr_eq(&now.mapping, &org.mapping)
            })
        };
        while same() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let options = &engine.workers().settings.salesforce;
    let opened = work.client(org, options).and_then(|client| {
        let feed = Feed::new(&client, &source.url, None)?;
        Ok((client, feed))
    });
    let (client, feed) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let error = FeedError::Org(error);
            for entity in Entity::ALL {
                fail(engine, work, entity, &error, MENDING);
            }
            tokio::select! {
                () = other => {}
                () = tokio::time::sleep(MENDING) => {}
            }
            return;
        }
    };
    let one = |entity| {
        let follower = Follower {
            engine,
            work,
            org,
            topic: entity_topic(entity, &client),
            url: &source.url,
            entity,
            start: Start::Latest,
            version: 0,
            failures: 0,
        };
        follower.run(&feed)
    };
    let [event, item, session] = Entity::ALL.map(one);
    tokio::select! {
        () = other => {}
        ((), (), ()) = async { tokio::join!(event, item, session) } => {}
    }
}

fn entity_topic(entity: Entity, client: &Client) -> String {
    entity.topic(client.mapping())
}

/// Says that an object's changes are not followed for a while.
fn fail(engine: &Engine, work: &OrgWork, entity: Entity, error: &FeedError, pause: Duration) {
    let now = engine.now();
    let again = now.plus_millis(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
    tracing::warn!(org = %work.org, entity = entity.name(), %error, ?pause, "change events are not followed");
    let (means, remedy) = (error.means(), error.remedy());
    let passes = !matches!(error.advice(), FeedAdvice::Stop | FeedAdvice::Wait);
    work.changes.set(entity.name(), Part::Down { means, remedy, passes, since: now, again });
}

/// One object's changes.
struct Follower<'a> {
    engine: &'a Engine,
    work: &'a OrgWork,
    org: &'a Org,
    topic: String,
    url: &'a str,
    entity: Entity,
    start: Start,
    /// Of the document that says where to go on.
    version: u64,
    /// In a row.
    failures: u32,
}

impl Follower<'_> {
    /// Subscribes, follows, and begins again, for ever.
    async fn run(mut self, feed: &Feed) {
        self.work.changes.set(self.entity.name(), Part::Connecting);
        while let Err(error) = self.recall().await {
            tracing::error!(org = %self.work.org, %error, "how far change events were is not known");
            tokio::time::sleep(super::AGAIN).await;
        }
        loop {
            let error = match feed.subscribe(self.entity, &self.start).await {
                Ok(subscription) => self.take(subscription).await,
                Err(error) => error,
            };
            let pause = self.pause_after(&error);
            fail(self.engine, self.work, self.entity, &error, pause);
            tokio::time::sleep(pause).await;
        }
    }

    /// Goes on where an earlier process was.
    async fn recall(&mut self) -> Result<(), StoreError> {
        let key = Key::change_events(self.org.scope, self.entity.name());
        let Some(document) = stored(self.engine, move |store| store.get(&key)).await? else {
            return Ok(());
        };
        self.version = document.version;
        let place = file::decode::<Place>(&document.body).ok();
        match place.as_ref().and_then(Place::replay).zip(place) {
            Some((replay, place)) if place.topic == self.topic && place.url == self.url => {
                self.start = Start::After(ReplayId::new(&replay));
            }
            Some(_) => {}
            None => self.start_over(),
        }
        Ok(())
    }

    /// Takes news until there is none any more.
    async fn take(&mut self, mut subscription: Subscription) -> FeedError {
        let mut settled = false;
        loop {
            // Never given up halfway: what it has would be lost.
            let mut next = std::pin::pin!(subscription.next());
            let news = if settled {
                next.await
            } else {
                tokio::select! {
                    news = &mut next => news,
                    () = tokio::time::sleep(SETTLED) => {
                        self.stands();
                        settled = true;
                        next.await
                    }
                }
            };
            match news {
                Ok(news) => {
                    if !settled {
                        self.stands();
                    }
                    settled = true;
                    self.failures = 0;
                    self.act(news).await;
                }
                Err(error) => return error,
            }
        }
    }

    fn stands(&self) {
        tracing::info!(org = %self.work.org, entity = self.entity.name(), "change events are followed");
        let anew = self.start == Start::Latest;
        self.work.changes.stands(self.entity.name(), self.engine.now(), anew);
    }

    /// Lets what changed wait for its refresh, then writes down that it was told.
    async fn act(&mut self, news: News) {
        let wanted =
            wanted(&news.changes, |record| self.work.reads.known(record).map(|(event, _)| event));
        for target in &wanted.targets {
            self.work.inbox.push(*target, false);
        }
        if wanted.look {
            self.work.changes.look();
        }
        let told = news.changes.len() as u64;
        let last = news.changes.iter().map(|change| change.at).max();
        self.work.changes.change(|state| {
            let state = &mut state.changes;
            state.told += told;
            state.passed_over += wanted.passed_over;
            state.last = state.last.max(last.filter(|at| *at > Timestamp(0)));
        });
        metrics::counter!("sloe_change_events_total").increment(told);
        metrics::counter!("sloe_change_events_passed_over_total").increment(wanted.passed_over);
        let Some(up_to) = news.up_to else { return };
        if self.start == Start::After(up_to.clone()) {
            return;
        }
        let place = Place::new(up_to.as_bytes(), &self.topic, self.url);
        self.start = Start::After(up_to);
        self.version += 1;
        let write = Write {
            key: Key::change_events(self.org.scope, self.entity.name()),
            version: self.version,
            body: Some(file::encode(&place)),
        };
        if let Err(error) = stored(self.engine, move |store| store.put(&[write])).await {
            // It will be told again, that is all.
            tracing::error!(org = %self.work.org, %error, "how far change events are can't be written down");
        }
    }

    /// What was lost is read; what is kept is told again.
    fn start_over(&mut self) {
        self.work.inbox.push(None, false);
        self.start = Start::Earliest;
    }

    /// What an error means for the next try, and how long until then.
    fn pause_after(&mut self, error: &FeedError) -> Duration {
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        let growing = LONGEST.min(Duration::from_secs(1 << failures.min(6)));
        match error.advice() {
            FeedAdvice::StartOver => {
                self.start_over();
                if failures == 0 { Duration::ZERO } else { growing }
            }
            FeedAdvice::Retry | FeedAdvice::Reauthenticate => growing,
            FeedAdvice::Wait => NOTHING_LEFT,
            FeedAdvice::Stop => MENDING,
        }
    }
}
