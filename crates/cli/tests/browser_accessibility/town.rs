//! What the demo lacks for every state to be seen: more events in its orgs,
//! orders of every kind, holds that end.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

use super::support::{Demo, attendee, eventually};
use super::visit::until;

/// A word as long as a name may be in Salesforce: 80 characters.
pub(crate) const LONG: &str =
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft";

/// Written from right to left.
pub(crate) const ARABIC: &str = "مؤتمر الأنظمة الموثوقة 2026";

const ADA: (&str, &str) = ("Ada", "Lovelace");
const GRACE: (&str, &str) = ("Grace", "Hopper");
const MISAKI: (&str, &str) = ("美咲", "林");

/// The demo with all that.
pub(crate) struct Town {
    pub(crate) demo: Demo,
    /// Addresses of order pages, by state.
    pub(crate) orders: BTreeMap<&'static str, String>,
    /// Address of a checkout whose time ends in a minute, while its seats stay free.
    pub(crate) ending: String,
    /// The same of the only seat of an event.
    pub(crate) losing: String,
}

impl Town {
    /// Starts the demo and adds what it lacks.
    pub(crate) async fn build() -> Self {
        let demo = Demo::start().await;
        let (ending, losing) = (String::new(), String::new());
        let mut town = Self { demo, orders: BTreeMap::new(), ending, losing };
        town.add_events().await;
        // First, so that their minute passes beside everything else.
        town.ending = town.hold("held-a-minute").await;
        town.losing = town.hold("the-only-seat").await;
        town.add_orders().await;
        town.end_events().await;
        town
    }

    async fn add_events(&self) {
        let arabic = json!({
            "Summary__c": "يومان من الأحاديث الصريحة عن الأنظمة الكبيرة.", "Venue_Name__c": "قاعة المكتبة",
            "Venue_Address__c": "شارع الكورنيش 12\nالإسكندرية", "Time_Zone__c": "Africa/Cairo",
            "Description__c": "## البرنامج\nلكل جلسة 40 دقيقة.", "Organizer_Name__c": "مكتبة الميناء",
        });
        self.add("meridian", "reliable-systems", ARABIC, &arabic, &[("تذكرة المؤتمر", None)]).await;
        let long = json!({
            "Summary__c": LONG, "Description__c": format!("## {LONG}\n{LONG}"), "Venue_Name__c": LONG,
            "Venue_Address__c": format!("{LONG}\n{LONG}"), "Organizer_Name__c": LONG, "Capacity__c": 5,
        });
        self.add("harbor", "long-words", LONG, &long, &[(LONG, None)]).await;
        let priced = [("Tasting", Some("28.00"))];
        self.add("harbor", "wine-by-the-water", "Wine by the Water", &json!({}), &priced).await;
        let minute = json!({ "Hold_Minutes__c": 1, "Capacity__c": 5 });
        self.add("harbor", "held-a-minute", "Held a Minute", &minute, &[("Seat", None)]).await;
        let only = json!({ "Hold_Minutes__c": 1, "Capacity__c": 1 });
        self.add("harbor", "the-only-seat", "The Only Seat", &only, &[("Seat", None)]).await;
        for (slug, name) in [
            ("called-off", "Called Off"),
            ("taken-offline", "Taken Offline"),
            ("past", "Long Past"),
        ] {
            self.add("harbor", slug, name, &json!({}), &[("Seat", None)]).await;
        }
        for (slug, name) in [("closing", "Called Off Meanwhile"), ("few-seats", "Few Seats")] {
            self.add("meridian", slug, name, &json!({ "Capacity__c": 8 }), &[("Seat", None)]).await;
        }
    }

    /// Makes an event in the org, presses Update, and waits until it is public.
    async fn add(
        &self,
        org: &str,
        slug: &str,
        name: &str,
        more: &Value,
        items: &[(&str, Option<&str>)],
    ) {
        let mut fields = json!({
            "Name": name, "Slug__c": slug, "Published__c": true, "Time_Zone__c": "Europe/Lisbon",
            "Starts_At__c": in_days(30), "Ends_At__c": in_days(31),
        });
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let salesforce = self.demo.org(org);
        let record = salesforce.create("Sloe_Event__c", &fields).await;
        for (name, price) in items {
            let mut item = json!({ "Event__c": record, "Name": name });
            if let Some(price) = price {
                item["Price__c"] = price.parse::<f64>().unwrap().into();
                item["Currency__c"] = "EUR".into();
            }
            salesforce.create("Sloe_Item__c", &item).await;
        }
        salesforce.press_update(&record).await;
        self.demo.new_event(org, slug).await;
        until(self.demo.client(), &self.page(org, slug), items[0].0).await;
    }

    /// Changes an event in the org, presses Update, and waits until its page
    /// shows `words`.
    pub(crate) async fn change(&self, org: &str, slug: &str, fields: &Value, words: &str) {
        let salesforce = self.demo.org(org);
        let record = salesforce.record(&format!("Sloe_Event__c WHERE Slug__c = '{slug}'")).await;
        salesforce.patch("Sloe_Event__c", &record, fields).await;
        salesforce.press_update(&record).await;
        until(self.demo.client(), &self.page(org, slug), words).await;
    }

    async fn id(&self, org: &str, slug: &str) -> String {
        self.demo.new_event(org, slug).await
    }

    async fn hold(&self, slug: &str) -> String {
        let event = self.id("harbor", slug).await;
        let seat = self.demo.id_of(&event, "Seat").await;
        let held = self.demo.hold(&event, &json!([{ "item": seat, "quantity": 1 }])).await;
        self.demo.url(&format!("/checkout/{}", held["id"].as_str().unwrap()))
    }

    /// Registers people and answers the order.
    async fn order(&self, event: &str, attendees: &[Value]) -> Value {
        let (status, order) = self.demo.register(event, attendees).await;
        assert_eq!(status, 201, "{order}");
        order
    }

    async fn add_orders(&mut self) {
        let live = self.demo.org("meridian").event("keynote-live").to_owned();
        let seat = self.demo.id_of(&live, "Stream seat").await;
        let one = self.order(&live, &[attendee(&seat, &[], ADA)]).await;
        self.keep("one", &one);

        let days = self.demo.org("meridian").event("systems-days").to_owned();
        let pass = self.demo.id_of(&days, "Conference pass").await;
        let talk = self.demo.id_of(&days, "A queue is a promise").await;
        let mut three = [ADA, GRACE, MISAKI].map(|who| attendee(&pass, &[&talk], who));
        three[2]["email"] = "misaki@example.org".into();
        for state in ["several", "one-cancelled", "all-cancelled", "cancelled-by-the-organizer"] {
            let order = self.order(&days, &three).await;
            self.keep(state, &order);
            match state {
                "one-cancelled" => self.cancel(&order, Some(1)).await,
                "all-cancelled" => self.cancel(&order, None).await,
                "cancelled-by-the-organizer" => self.cancel_in_the_org(&order).await,
                _ => {}
            }
        }
        for (state, slug) in
            [("called-off", "called-off"), ("offline", "taken-offline"), ("past", "past")]
        {
            let event = self.id("harbor", slug).await;
            let seat = self.demo.id_of(&event, "Seat").await;
            let order = self.order(&event, &[attendee(&seat, &[], ADA)]).await;
            self.keep(state, &order);
        }
        let event = self.id("harbor", "long-words").await;
        let seat = self.demo.id_of(&event, LONG).await;
        let long: String = LONG.chars().take(40).collect();
        let who = json!({ "item": seat, "sessions": [], "first_name": long, "last_name": LONG, "email": "long@example.org" });
        let order = self.order(&event, &[who]).await;
        self.keep("long-words", &order);
    }

    fn keep(&mut self, state: &'static str, order: &Value) {
        self.orders.insert(state, order["url"].as_str().unwrap().to_owned());
    }

    async fn cancel(&self, order: &Value, ticket: Option<usize>) {
        let mut url = format!("/api/v1/orders/{}", order["order"].as_str().unwrap());
        if let Some(index) = ticket {
            url = format!("{url}/tickets/{}", order["tickets"][index]["id"]);
        }
        let answer = self.demo.client().delete(self.demo.url(&url)).send().await.unwrap();
        assert!(answer.status().is_success(), "{:?}", answer.text().await);
    }

    /// Cancels the order's first attendee where the organizer works.
    async fn cancel_in_the_org(&self, order: &Value) {
        let org = self.demo.org("meridian");
        let reference = order["reference"].as_str().unwrap();
        let soql = format!(
            "SELECT Id, Event__c FROM Sloe_Attendee__c WHERE Order_Reference__c = '{reference}'"
        );
        let rows = eventually(async || {
            let rows = org.query(&soql).await;
            if rows.len() == 3 { Ok(rows) } else { Err(format!("{rows:?}")) }
        })
        .await;
        let cancelled = json!({ "Registration_Status__c": "Cancelled" });
        org.patch("Sloe_Attendee__c", rows[0]["Id"].as_str().unwrap(), &cancelled).await;
        org.press_update(rows[0]["Event__c"].as_str().unwrap()).await;
        let page = &self.orders["cancelled-by-the-organizer"];
        until(self.demo.client(), page, "Cancelled by the organizer").await;
    }

    async fn end_events(&self) {
        self.change("harbor", "called-off", &json!({ "Status__c": "Cancelled" }), "is cancelled")
            .await;
        let past = json!({ "Starts_At__c": in_days(-2), "Ends_At__c": in_days(-1) });
        self.change("harbor", "past", &past, "is over").await;
        let offline = json!({ "Published__c": false });
        self.change("harbor", "taken-offline", &offline, "can’t find this event").await;
    }

    /// Address of an event's page.
    pub(crate) fn page(&self, org: &str, slug: &str) -> String {
        self.demo.url(&format!("/{org}/{slug}"))
    }

    /// Waits until the only seat's hold is over, and takes the seat.
    pub(crate) async fn take_the_only_seat(&self) {
        let event = self.id("harbor", "the-only-seat").await;
        let seat = self.demo.id_of(&event, "Seat").await;
        eventually(async || {
            let (status, answer) = self.demo.register(&event, &[attendee(&seat, &[], GRACE)]).await;
            if status == 201 { Ok(()) } else { Err(format!("{answer}")) }
        })
        .await;
    }
}

/// A moment as Salesforce takes it.
fn in_days(days: i64) -> String {
    (Timestamp::now() + (days * 24).hours()).strftime("%Y-%m-%dT%H:00:00Z").to_string()
}
