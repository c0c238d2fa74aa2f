//! Proxies, and which of them the environment names.

use std::net::IpAddr;

use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use percent_encoding::percent_decode_str;
use url::Url;

/// Where a proxy for SOCKS is, unless its address says otherwise.
const SOCKS_PORT: u16 = 1080;

/// A proxy that makes tunnels.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(super) at: Uri,
    pub(super) speaks: Speaks,
}

/// What a proxy speaks, and how it is told who asks.
#[derive(Clone)]
pub(super) enum Speaks {
    Http(Option<HeaderValue>),
    /// SOCKS 5, with a name and a password.
    Socks(Option<(String, String)>),
}

impl Proxy {
    /// The one at this address, which may hold a name and a password.
    pub(crate) fn new(url: &Url) -> Option<Self> {
        let mut to = url.clone();
        // A URL with a host can do without either.
        let _ = (to.set_username(""), to.set_password(None));
        let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pair = super::basic_auth(url).map(|_| {
            let password = url.password().unwrap_or_default();
            (decode(url.username()), decode(password))
        });
        Self::at(to.as_str().parse().ok()?, super::basic_auth(url), pair)
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
        let pair = found.raw_auth();
        let pair = pair.map(|(name, password)| (name.to_owned(), password.to_owned()));
        let proxy = Self::at(found.uri().clone(), found.basic_auth().cloned(), pair);
        proxy.map(Some).ok_or(NoTunnel)
    }

    fn at(at: Uri, header: Option<HeaderValue>, pair: Option<(String, String)>) -> Option<Self> {
        let host = at.host().filter(|host| !host.is_empty())?;
        let (at, speaks) = match at.scheme_str()? {
            "http" | "https" => (at, Speaks::Http(header)),
            // Names are resolved by the proxy either way: what it leads to may be known there only.
            "socks5" | "socks5h" => {
                let port = at.port_u16().unwrap_or(SOCKS_PORT);
                let at = format!("socks5://{host}:{port}").parse().ok()?;
                (at, Speaks::Socks(pair))
            }
            _ => return None,
        };
        Some(Self { at, speaks })
    }
}

/// The environment names a proxy that makes no tunnels: one for SOCKS 4, say.
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
        assert!(matches!(found.speaks, Speaks::Http(Some(_))));
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
        let socks = Matcher::builder().all("socks4://proxy.test:1080").build();
        let to = Uri::from_static("https://api.anthropic.com");
        assert!(Proxy::found_by(&socks, &to).is_err());
    }

    #[test]
    fn one_for_socks_is_known_from_either_place() {
        let to = Uri::from_static("https://api.anthropic.com");
        for (address, at, pair) in [
            ("socks5://proxy.test", "proxy.test:1080", None),
            ("socks5h://[::1]:9050", "[::1]:9050", None),
            (
                "socks5h://me:p%40ss@proxy.test:1",
                "proxy.test:1",
                Some(("me", "p@ss")),
            ),
        ] {
            let named = Matcher::builder().all(address).build();
            let url = address.parse().expect("is one");
            for found in [
                Proxy::new(&url),
                Proxy::found_by(&named, &to).expect("makes tunnels"),
            ] {
                let found = found.expect("makes tunnels");
                assert_eq!(found.at.authority().expect("a place"), at);
                let Speaks::Socks(told) = found.speaks else {
                    panic!("{address}");
                };
                let told = told.as_ref();
                let told = told.map(|(name, password)| (name.as_str(), password.as_str()));
                assert_eq!(told, pair, "{address}");
            }
        }
    }
}
