//! Proxies, and which of them the environment names.

use std::net::IpAddr;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

/// A proxy that makes tunnels.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(super) at: Uri,
    pub(super) auth: Option<HeaderValue>,
}

impl Proxy {
    /// The one at this address, which may hold a name and a password.
    pub(crate) fn new(url: &Url) -> Option<Self> {
        let mut to = url.clone();
        // A URL with a host can do without either.
        let _ = (to.set_username(""), to.set_password(None));
        Self::at(to.as_str().parse().ok()?, super::basic_auth(url))
    }

    /// The one that the environment names for a place: by `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`
    /// and `NO_PROXY`, which mean what they mean to curl.
    pub(crate) fn of_environment(to: &Uri) -> Result<Option<Self>, NoTunnel> {
        Self::found_by(&Matcher::from_env(), to)
    }

    fn found_by(known: &Matcher, to: &Uri) -> Result<Option<Self>, NoTunnel> {
        // No proxy can reach what is on this machine alone.
        if to.host().is_none_or(is_here) {
            return Ok(None);
        }
        let Some(found) = known.intercept(to) else {
            return Ok(None);
        };
        let proxy = Self::at(found.uri().clone(), found.basic_auth().cloned());
        proxy.map(Some).ok_or(NoTunnel)
    }

    fn at(at: Uri, auth: Option<HeaderValue>) -> Option<Self> {
        let speaks_http = matches!(at.scheme_str(), Some("http" | "https"));
        (speaks_http && at.host().is_some()).then_some(Self { at, auth })
    }
}

/// The environment names a proxy that makes no tunnels over HTTP: one for SOCKS, say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoTunnel;

fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Matcher {
        Matcher::builder()
            .https("http://me:secret@proxy.test:3128")
            .no("inside.test, 10.0.0.0/8")
            .build()
    }

    fn proxy(to: &'static str) -> Option<Proxy> {
        Proxy::found_by(&environment(), &Uri::from_static(to)).expect("makes tunnels")
    }

    #[test]
    fn the_environment_names_one_for_what_it_does_not_except() {
        let found = proxy("https://api.anthropic.com/v1").expect("goes through it");
        assert_eq!(found.at, "http://proxy.test:3128/");
        assert!(found.auth.is_some());
        for straight in [
            "https://llm.inside.test/v1",
            "https://10.1.2.3:8000/v1",
            "http://elsewhere.test/v1",
        ] {
            assert!(proxy(straight).is_none(), "{straight}");
        }
    }

    #[test]
    fn this_machine_is_reached_straight() {
        for here in [
            "https://localhost:8000",
            "https://127.0.0.1",
            "https://[::1]:1",
        ] {
            assert!(proxy(here).is_none(), "{here}");
        }
    }

    #[test]
    fn one_that_makes_no_tunnels_is_not_left_out_in_silence() {
        let socks = Matcher::builder().all("socks5://proxy.test:1080").build();
        let to = Uri::from_static("https://api.anthropic.com");
        assert!(Proxy::found_by(&socks, &to).is_err());
    }
}
