//! How often one address may ask.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::http::{Extensions, HeaderMap};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::serve::Peer;
use crate::state::Rate;

/// Requests between two sweeps of addresses that are quiet again.
const SWEEP: u32 = 16_384;

/// Every address that asked lately.
pub(super) struct Addresses {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    clock: DefaultClock,
    behind_proxy: bool,
    asked: AtomicU32,
}

impl Addresses {
    pub(super) fn new(rate: Rate, behind_proxy: bool) -> Self {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota =
            Quota::per_second(at_least_one(rate.per_second)).allow_burst(at_least_one(rate.burst));
        Self {
            limiter: RateLimiter::keyed(quota),
            clock: DefaultClock::default(),
            behind_proxy,
            asked: AtomicU32::new(0),
        }
    }

    /// Counts a request of its address.
    ///
    /// # Errors
    /// How long the address has to wait.
    pub(super) fn check(&self, request: &Request) -> Result<(), Duration> {
        let Some(address) = self.address(request) else { return Ok(()) };
        if self.asked.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        let checked = self.limiter.check_key(&address);
        checked.map_err(|until| until.wait_time_from(self.clock.now()))
    }

    /// Who asks; `None` for this machine itself.
    fn address(&self, request: &Request) -> Option<IpAddr> {
        caller(request.headers(), request.extensions(), self.behind_proxy)
            .filter(|address| !address.is_loopback())
    }
}

/// Who calls, as far as that can be told. A home has a whole IPv6 network of
/// 64 bits, so that is what counts as one address.
pub(crate) fn caller(
    headers: &HeaderMap,
    extensions: &Extensions,
    behind_proxy: bool,
) -> Option<IpAddr> {
    let forwarded = || {
        // The last entry is the proxy's own word, all before it the caller's.
        let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
        last.rsplit(',').next()?.trim().parse().ok()
    };
    let peer = extensions.get::<Peer>().map(|peer| peer.0.ip());
    let address: IpAddr = if behind_proxy { forwarded().or(peer) } else { peer }?;
    let address = address.to_canonical();
    Some(match address {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use axum::body::Body;

    fn request(peer: &str, forwarded: &[&str]) -> Request {
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        for value in forwarded {
            request.headers_mut().append("x-forwarded-for", value.parse().unwrap());
        }
        request
    }

    #[test]
    fn an_address_beyond_its_rate_waits_and_others_do_not() {
        let addresses = Addresses::new(Rate { per_second: 1, burst: 2 }, false);
        let (one, other) = ("203.0.113.1:1", "203.0.113.2:1");
        assert!(addresses.check(&request(one, &[])).is_ok());
        assert!(addresses.check(&request("203.0.113.1:2", &[])).is_ok());
        let wait = addresses.check(&request(one, &[])).unwrap_err();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert!(addresses.check(&request(other, &[])).is_ok());
    }

    #[test]
    fn a_forged_address_is_believed_of_the_proxy_only() {
        let direct = Addresses::new(Rate { per_second: 1, burst: 1 }, false);
        let at = |a: &Addresses, r: &Request| a.address(r).map(|ip| ip.to_string());
        let forged = request("203.0.113.1:1", &["198.51.100.7, 198.51.100.8"]);
        assert_eq!(at(&direct, &forged).as_deref(), Some("203.0.113.1"));
        let proxied = Addresses::new(Rate { per_second: 1, burst: 1 }, true);
        assert_eq!(at(&proxied, &forged).as_deref(), Some("198.51.100.8"));
        let twice = request("203.0.113.1:1", &["192.0.2.1", "198.51.100.9"]);
        assert_eq!(at(&proxied, &twice).as_deref(), Some("198.51.100.9"));
        let none = request("203.0.113.1:1", &["nonsense"]);
        assert_eq!(at(&proxied, &none).as_deref(), Some("203.0.113.1"));
    }

    #[test]
    fn a_home_is_one_address_and_this_machine_is_none() {
        let addresses = Addresses::new(Rate::default(), false);
        let at = |peer: &str| addresses.address(&request(peer, &[]));
        assert_eq!(at("[2001:db8:1:2:3::1]:1"), at("[2001:db8:1:2:4::1]:1"));
        assert_ne!(at("[2001:db8:1:2::1]:1"), at("[2001:db8:1:3::1]:1"));
        assert_eq!(at("[::ffff:203.0.113.1]:1"), at("203.0.113.1:1"));
        assert_eq!((at("127.0.0.1:1"), at("[::1]:1")), (None, None));
    }
}
