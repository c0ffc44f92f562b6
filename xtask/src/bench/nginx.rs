//! nginx, where it is installed, as the second ceiling of a page: the same
//! bytes from a file, plain or compressed beforehand.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::process::{self, Running, Scratch};

/// Starts it over the directory that holds `page.html` and `page.html.gz`;
/// gives its address, or `None` where there is no nginx.
pub(super) fn start(scratch: &Scratch) -> Result<Option<(Running, String)>, String> {
    let asked = Command::new("nginx").arg("-v").stderr(Stdio::null()).status();
    if !asked.is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    let (port, home) = (process::free_port()?, scratch.path(""));
    let file = scratch.path("nginx.conf");
    std::fs::write(&file, configuration(&home.display().to_string(), port))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(&home).arg("-c").arg(&file);
    let log = scratch.path("nginx.log");
    let running = Running::start(&mut command, &log)?;
    let origin = format!("http://127.0.0.1:{port}");
    process::wait(Duration::from_secs(10), Duration::from_millis(20), || {
        match process::http(("GET", &origin, "/page.html"), "", "")? {
            (200, _) => Ok(()),
            (status, _) => Err(format!("nginx answers {status}; see {}", log.display())),
        }
    })?;
    Ok(Some((running, origin)))
}

/// As its manual advises for static files; nothing is logged, as by the others.
fn configuration(home: &str, port: u16) -> String {
    format!(
        "daemon off;
worker_processes auto;
pid {home}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
  types {{ text/html html; }}
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  open_file_cache max=100;
  gzip_static on;
  client_body_temp_path {home}/nginx-body;
  proxy_temp_path {home}/nginx-proxy;
  fastcgi_temp_path {home}/nginx-fastcgi;
  uwsgi_temp_path {home}/nginx-uwsgi;
  scgi_temp_path {home}/nginx-scgi;
  server {{ listen 127.0.0.1:{port}; root {home}; }}
}}
"
    )
}
