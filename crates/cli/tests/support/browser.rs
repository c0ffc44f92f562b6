//! One visitor's Chromium, driven through a chromedriver of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::common::log::LoggingPrefsLogLevel;
use thirtyfour::{
    By, Capabilities, ChromiumLikeCapabilities, DesiredCapabilities, Key, TypingData, WebDriver,
    WebElement,
};

use super::{eventually, http_client, told_in};

/// Any one of these will do.
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const DRIVER: &str = "chromedriver";

const ARGUMENTS: [&str; 11] = [
    "--headless=new",
    // Containers mostly run as root, which the sandbox refuses.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1440,900",
];

/// The variable that names the directory for screenshots, if any are wanted.
const SHOTS: &str = "SLOE_SHOTS";

/// How long a browser may take to close before it is killed.
const CLOSING: Duration = Duration::from_secs(10);

/// How a browser looks at the site.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    width: u32,
    height: u32,
    phone: bool,
    script: bool,
    dark: bool,
    /// How large plain text is, in CSS pixels.
    text: u32,
}

impl Look {
    /// On a phone, 390 by 844.
    pub(crate) const PHONE: Self =
        Self { width: 390, height: 844, phone: true, script: true, dark: false, text: 16 };
    /// On a desk, 1440 by 900.
    pub(crate) const DESKTOP: Self =
        Self { width: 1440, height: 900, phone: false, script: true, dark: false, text: 16 };

    /// The same with JavaScript off.
    pub(crate) const fn without_script(self) -> Self {
        Self { script: false, ..self }
    }

    /// The same for somebody who prefers dark.
    pub(crate) const fn dark(self) -> Self {
        Self { dark: true, ..self }
    }

    /// The same in a window of another size, in CSS pixels.
    pub(crate) const fn sized(self, width: u32, height: u32) -> Self {
        Self { width, height, ..self }
    }

    /// The same for somebody who has set text to twice its size.
    pub(crate) const fn large_text(self) -> Self {
        Self { text: 32, ..self }
    }

    /// How wide the page is, in CSS pixels.
    pub(crate) const fn width(self) -> u32 {
        self.width
    }

    /// How large plain text is, in CSS pixels.
    pub(crate) const fn text(self) -> u32 {
        self.text
    }

    /// `light` or `dark`.
    pub(crate) const fn scheme(self) -> &'static str {
        if self.dark { "dark" } else { "light" }
    }

    fn capabilities(self, home: &Path) -> Capabilities {
        let mut wanted = DesiredCapabilities::chrome();
        let binary = CHROMIUM.iter().find_map(|name| on_path(name));
        wanted.set_binary(binary.expect("a Chromium on PATH").to_str().unwrap()).unwrap();
        for argument in ARGUMENTS {
            wanted.add_arg(argument).unwrap();
        }
        wanted.add_arg(&format!("--user-data-dir={}", home.join("profile").display())).unwrap();
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let mut settings = json!({ "webkit.webprefs.default_font_size": self.text });
        if !self.script {
            settings["profile.managed_default_content_settings.javascript"] = 2.into();
        }
        wanted.add_experimental_option("prefs", settings).unwrap();
        wanted.into()
    }
}

/// A browser with a fresh profile, closed and gone with this value.
pub(crate) struct Browser {
    driver: WebDriver,
    look: Look,
    process: Driver,
}

impl Browser {
    /// Opens one.
    pub(crate) async fn open(look: Look) -> Self {
        let mut process = Driver::start().await;
        let wanted = look.capabilities(process.home.path());
        let url = format!("http://127.0.0.1:{}", process.port);
        let driver = WebDriver::builder(url, wanted).client(http_client()).await;
        let driver = driver.unwrap_or_else(|error| panic!("{error}\n{}", told_in(&process.log())));
        // The driver's process closes the session: it also does so in a panic.
        driver.clone().leak().unwrap();
        process.session = Some(driver.session_id().to_string());
        process.chromium = driver.capabilities().get("goog:processID").and_then(Value::as_u64);
        let mut browser = Self { driver, look, process };
        browser.turn(look).await;
        browser
    }

    /// Looks at the same page otherwise: size and colors change at once,
    /// script and text size stay as they were.
    pub(crate) async fn turn(&mut self, look: Look) {
        self.look = look;
        self.resize(look.height).await;
        let scheme = json!({ "name": "prefers-color-scheme", "value": look.scheme() });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [scheme] })).await;
    }

    /// For what the helpers here don't cover.
    pub(crate) fn driver(&self) -> &WebDriver {
        &self.driver
    }

    /// A command of the Chrome DevTools Protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(command, parameters).await.unwrap()
    }

    /// Goes to an address and waits until the page is there.
    pub(crate) async fn goto(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    /// One step back in the history.
    pub(crate) async fn back(&self) {
        self.driver.back().await.unwrap();
    }

    /// Where it is.
    pub(crate) async fn url(&self) -> String {
        self.driver.current_url().await.unwrap().to_string()
    }

    /// Waits until its address contains `part`; answers the address.
    pub(crate) async fn arrive(&self, part: &str) -> String {
        eventually(async || {
            let at = self.url().await;
            if at.contains(part) { Ok(at) } else { Err(format!("at {at}, not {part}")) }
        })
        .await
    }

    /// The first element of a selector, once it is there.
    pub(crate) async fn find(&self, css: &str) -> WebElement {
        eventually(async || match self.driver.find(By::Css(css)).await {
            Ok(element) => Ok(element),
            Err(_) => Err(format!("{css} is not at {}", self.url().await)),
        })
        .await
    }

    /// All elements of a selector, now.
    pub(crate) async fn find_all(&self, css: &str) -> Vec<WebElement> {
        self.driver.find_all(By::Css(css)).await.unwrap()
    }

    /// Whether a selector finds anything, now.
    pub(crate) async fn has(&self, css: &str) -> bool {
        !self.find_all(css).await.is_empty()
    }

    /// What an element shows.
    pub(crate) async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.unwrap()
    }

    /// What every element of a selector shows, now.
    pub(crate) async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.find_all(css).await {
            texts.push(element.text().await.unwrap());
        }
        texts
    }

    /// What the page shows as a whole.
    pub(crate) async fn page(&self) -> String {
        self.text("main").await
    }

    /// Waits until the page shows `words`.
    pub(crate) async fn shows(&self, words: &str) {
        eventually(async || {
            let main =
                self.driver.find(By::Css("main")).await.map_err(|error| error.to_string())?;
            let shown = main.text().await.map_err(|error| error.to_string())?;
            if shown.contains(words) {
                Ok(())
            } else {
                Err(format!("“{words}” is not in {shown}"))
            }
        })
        .await;
    }

    /// Clicks what opens another page, and waits until that is there: the
    /// driver returns before a slow answer has come.
    pub(crate) async fn go(&self, css: &str) {
        self.mark_page().await;
        self.click(css).await;
        self.wait_for_unmarked_page().await;
    }

    async fn mark_page(&self) {
        self.evaluate("document.documentElement.dataset.left = 'soon'").await;
    }

    async fn wait_for_unmarked_page(&self) {
        let there =
            "return document.readyState === 'complete' && !document.documentElement.dataset.left";
        eventually(async || {
            let answer = self.driver.execute(there, Vec::new()).await;
            let there = answer.map_err(|error| error.to_string())?;
            if *there.json() == true {
                Ok(())
            } else {
                Err("the page is still the one before".into())
            }
        })
        .await;
    }

    /// Clicks an element that stays on its page.
    pub(crate) async fn click(&self, css: &str) {
        let element = self.find(css).await;
        // The driver scrolls no further than the edge, where a bar may lie above.
        let middle = "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })";
        self.driver.execute(middle, vec![element.to_json().unwrap()]).await.unwrap();
        element.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Clicks the link with this text, and waits for the page it leads to.
    pub(crate) async fn follow(&self, text: &str) {
        let link = eventually(async || {
            let found = self.driver.find(By::LinkText(text)).await;
            found.map_err(|error| format!("no link “{text}”: {error}"))
        });
        let link = link.await;
        self.mark_page().await;
        link.click().await.unwrap_or_else(|error| panic!("{text}: {error}"));
        self.wait_for_unmarked_page().await;
    }

    /// Replaces what a field contains.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// What a field contains.
    pub(crate) async fn value(&self, css: &str) -> String {
        self.find(css).await.prop("value").await.unwrap().unwrap_or_default()
    }

    /// Whether a box is ticked.
    pub(crate) async fn is_ticked(&self, css: &str) -> bool {
        self.find(css).await.is_selected().await.unwrap()
    }

    /// Presses keys, wherever the focus is.
    pub(crate) async fn press(&self, keys: impl Into<TypingData>) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Presses a key while Shift is held.
    pub(crate) async fn press_with_shift(&self, key: Key) {
        let keys = self.driver.action_chain().key_down(Key::Shift).send_keys(key);
        keys.key_up(Key::Shift).perform().await.unwrap();
    }

    /// Runs JavaScript in the page and answers what it returns, also with the
    /// page's own scripts off.
    pub(crate) async fn evaluate(&self, script: &str) -> Value {
        self.evaluate_with(script, Vec::new()).await
    }

    /// The same with values that the script finds in `arguments`; what a
    /// promise comes to is waited for.
    pub(crate) async fn evaluate_with(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.driver.execute(script, arguments).await.unwrap().json().clone()
    }

    /// What the browser had to complain about since the last call: errors of
    /// scripts, resources that are missing, breaches of the page's policy. A
    /// form that is refused with a page of its own is none of these.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let refused = |message: &str| {
            ["409 (Conflict)", "422 (Unprocessable Entity)"].iter().any(|s| message.ends_with(s))
        };
        let log = self.driver.browser_log().await.unwrap();
        let severe = log.into_iter().filter(|entry| entry.level == "SEVERE");
        severe.map(|entry| entry.message).filter(|message| !refused(message)).collect()
    }

    /// Clicks a link that downloads something, and answers what came.
    pub(crate) async fn download(&self, css: &str) -> String {
        let folder = self.process.home.path().join("downloads");
        let allow = json!({ "behavior": "allow", "downloadPath": folder });
        self.devtools("Browser.setDownloadBehavior", allow).await;
        self.click(css).await;
        eventually(async || {
            let file = std::fs::read_dir(&folder).map_err(|error| error.to_string())?.next();
            let file = file.ok_or("nothing came")?.map_err(|error| error.to_string())?.path();
            // It has another name until all of it is there.
            if file.extension().is_some_and(|ending| ending == "crdownload") {
                return Err("it is still coming".to_owned());
            }
            std::fs::read_to_string(file).map_err(|error| error.to_string())
        })
        .await
    }

    /// A picture of the whole page as `NAME-WIDTH-SCHEME.png`, if any are
    /// wanted.
    pub(crate) async fn shoot(&self, name: &str) {
        let Some(directory) = std::env::var_os(SHOTS) else { return };
        let file = format!("{name}-{}-{}.png", self.look.width, self.look.scheme());
        let whole = "return document.documentElement.scrollHeight";
        let height = self.evaluate(whole).await.as_u64().and_then(|h| u32::try_from(h).ok());
        self.resize(height.unwrap_or_default().max(self.look.height)).await;
        let file = PathBuf::from(directory).join(file);
        self.driver.screenshot(&file).await.unwrap();
        self.resize(self.look.height).await;
    }

    /// A window can't be as narrow as a phone, so the size is emulated.
    async fn resize(&self, height: u32) {
        let Look { width, phone, .. } = self.look;
        let scale = if phone { 2 } else { 1 };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }
}

/// The process of a chromedriver, and what it must leave behind clean.
struct Driver {
    child: Child,
    /// Profile, logs and temporary files.
    home: TempDir,
    port: u16,
    session: Option<String>,
    chromium: Option<u64>,
}

/// How often chromedriver may find that the free port it chose for one kind of
/// address is taken for the other; then it ends.
const PORTS: u32 = 8;

impl Driver {
    async fn start() -> Self {
        for _ in 1..PORTS {
            if let Ok(driver) = Self::try_start().await {
                return driver;
            }
        }
        Self::try_start().await.unwrap_or_else(|said| panic!("chromedriver ended: {said}"))
    }

    /// # Errors
    /// What it said before it ended.
    async fn try_start() -> Result<Self, String> {
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        let (out, error) = (File::create(&log).unwrap(), File::options().append(true).open(&log));
        let child = Command::new(DRIVER)
            .arg("--port=0")
            .env("TMPDIR", home.path())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(error.unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{DRIVER}: {error}"));
        let mut driver = Self { child, home, port: 0, session: None, chromium: None };
        driver.port = eventually(async || {
            let ended = driver.child.try_wait().unwrap();
            let said = told_in(&driver.log());
            if ended.is_some() {
                return Ok(Err(said));
            }
            named_port(&said).map(Ok).ok_or_else(|| format!("no port is named: {said}"))
        })
        .await?;
        Ok(driver)
    }

    fn log(&self) -> PathBuf {
        self.home.path().join("log")
    }

    /// Closes the browser, as a `quit` does, but without a runtime; whether it
    /// is closed.
    fn close(&self) -> bool {
        let Some(session) = &self.session else { return true };
        let ask = || {
            let mut wire = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
            wire.set_read_timeout(Some(CLOSING))?;
            let host = format!("127.0.0.1:{}", self.port);
            write!(
                wire,
                "DELETE /session/{session} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            )?;
            // The connection may stay open, whatever was asked for.
            let mut status = String::new();
            BufReader::new(wire).read_line(&mut status)?;
            Ok::<_, std::io::Error>(status.starts_with("HTTP/1.1 200"))
        };
        ask().unwrap_or(false)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.close()
            && let Some(chromium) = self.chromium
        {
            let _ = Command::new("kill").args(["-KILL", &chromium.to_string()]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The port in `ChromeDriver was started successfully on port 36577.`
fn named_port(said: &str) -> Option<u16> {
    let (_, rest) = said.split_once("successfully on port ")?;
    rest.split_once('.')?.0.parse().ok()
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
