//! Settings out of one line.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::Url;

use super::{Address, Login, RedisConfig, Topology};
use crate::RedisError;

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

pub(super) fn read(text: &str) -> Result<RedisConfig, RedisError> {
    // The parser's own error says nothing of what it read, yet nothing is taken from it either.
    let url = Url::parse(text).map_err(|_| RedisError::config("the address of Redis is no URL"))?;
    let (scheme, kind) = match url.scheme().split_once('-') {
        Some((scheme, kind)) => (scheme, Some(kind)),
        None => (url.scheme(), None),
    };
    let tls = match scheme {
        "redis" | "valkey" => false,
        "rediss" | "valkeys" => true,
        _ => {
            return Err(RedisError::config(
                "the address of Redis begins with `redis://`, `rediss://`, `redis-sentinel://` or `redis-cluster://`",
            ));
        }
    };
    if tls && cfg!(not(feature = "tls")) {
        return Err(RedisError::config("this build has no TLS for Redis"));
    }
    let mut path = url
        .path()
        .split('/')
        .filter(|part| !part.is_empty())
        .map(decode);
    if url.fragment().is_some() {
        return Err(RedisError::config(
            "the address of Redis ends with a `#`; one in a password is written `%23`",
        ));
    }
    let topology = match kind {
        // Other clients know settings here, such as a database. Ignoring one would put logins into
        // the wrong place.
        None if url.query().is_some() => {
            return Err(RedisError::config(
                "the address of one server takes no parameters; its database is its path",
            ));
        }
        None => Topology::Single(first(&url, PORT)?),
        Some("sentinel") => Topology::Sentinel {
            sentinels: nodes(&url, SENTINEL_PORT)?,
            service: path
                .next()
                .transpose()?
                .ok_or_else(|| {
                    RedisError::config(
                        "the address of sentinels ends with `/` and the service's name",
                    )
                })?
                .into_owned(),
        },
        Some("cluster") if cfg!(feature = "cluster") => Topology::Cluster(nodes(&url, PORT)?),
        Some("cluster") => {
            return Err(RedisError::config("this build has no Redis Cluster"));
        }
        Some(_) => {
            return Err(RedisError::config(
                "the address of Redis is of one server, of `-sentinel` or of `-cluster`",
            ));
        }
    };
    let database = match path.next().transpose()? {
        None => 0,
        Some(number) => number
            .parse::<u32>()
            .map_err(|_| RedisError::config("the database of Redis is a number"))?,
    };
    if path.next().is_some() {
        return Err(RedisError::config(
            "the address of Redis has more parts than one of its kind has",
        ));
    }
    let user = decode(url.username())?;
    let password = url.password().map(decode).transpose()?;
    Ok(RedisConfig {
        tls,
        database: database.into(),
        login: Login::literal(Some(&user), password.as_deref()),
        ..RedisConfig::new(topology)
    })
}

fn nodes(url: &Url, port: u16) -> Result<Vec<Address>, RedisError> {
    let mut nodes = vec![first(url, port)?];
    for (name, value) in url.query_pairs() {
        if name != "node" {
            return Err(RedisError::config(
                "the only parameter in an address of Redis is `node`",
            ));
        }
        let malformed = || RedisError::config("a `node` is `host:port`");
        let node = Url::parse(&format!("redis://{value}")).map_err(|_| malformed())?;
        // A password or a path of its own would be ignored.
        if value.contains(['@', '/', '?', '#']) {
            return Err(malformed());
        }
        nodes.push(first(&node, port)?);
    }
    Ok(nodes)
}

fn first(url: &Url, port: u16) -> Result<Address, RedisError> {
    let host = url
        .host_str()
        .filter(|host| !host.is_empty())
        .ok_or_else(|| RedisError::config("the address of Redis names no host"))?;
    // Brackets are of the URL's grammar, not of the address.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if !host
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte))
    {
        return Err(RedisError::config("the host of Redis is malformed"));
    }
    Ok(Address::new(host, url.port().unwrap_or(port)))
}

/// `%40` and the like.
fn decode(text: &str) -> Result<Cow<'_, str>, RedisError> {
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| RedisError::config("the address of Redis is malformed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_core::auth::SecretKind;

    #[test]
    fn an_address_is_read_in_all_its_parts() {
        let config = read("rediss://us%40er:test%2Fpass@[::1]:7000/3").unwrap();
        let Topology::Single(address) = &config.topology else {
            panic!("{config:?}");
        };
        assert_eq!((address.host.as_str(), address.port), ("::1", 7000));
        assert!(config.tls && config.database == 3);
        assert_eq!(config.login.user.as_deref(), Some("us@er"));
        let password = config.login.password.as_ref().unwrap();
        assert_eq!(password.kind(), SecretKind::Literal);
        assert!(!format!("{config:?}").contains("pass@"));
        assert!(!format!("{config:?}").contains("test/"));

        let config = read("redis-sentinel://s1/main/2?node=s2:1&node=s3").unwrap();
        let Topology::Sentinel {
            sentinels, service, ..
        } = &config.topology
        else {
            panic!("{config:?}");
        };
        let ports: Vec<_> = sentinels.iter().map(|sentinel| sentinel.port).collect();
        assert_eq!(
            (ports.as_slice(), service.as_str()),
            (&[26379, 1, 26379][..], "main")
        );
        assert_eq!((config.database, config.tls), (2, false));
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for text in [
            "canary",
            "http://canary@host",
            "redis-canary://host",
            "redis://:canary@/",
            "redis-sentinel://canary",
            "redis://host/canary",
            "redis://h%zz:canary@host%",
            "redis-sentinel://host/main?canary=1",
            "redis-sentinel://host/main/0/canary",
            "redis-sentinel://host/main?node=:canary@other",
            "redis://host/0/canary",
            "redis://host?db=canary",
            "redis://host/0?protocol=3&ssl=canary",
            "redis://host?node=canary",
            "redis://:pass#canary@host",
            "redis://host/0#canary",
            "redis-cluster://host#canary",
            "redis-cluster://host/0/canary",
        ] {
            let error = read(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{text}");
        }
    }
}
