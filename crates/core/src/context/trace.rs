//! The trace that a call belongs to, as W3C writes it.

use std::fmt;

/// Members of a `tracestate`; more are not valid (Trace Context, section 3.3.1.1).
const MEMBERS: usize = 32;

/// How much of a `tracestate` is handed on, in bytes (Trace Context, section 3.3.1.5).
const BYTES: usize = 512;

/// Members longer than this go first where there is too much.
const LONG_MEMBER: usize = 128;

/// W3C trace context, sent to the server in `_meta` (2026-07-28, basic).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TraceContext {
    /// `traceparent`.
    pub traceparent: String,
    /// `tracestate`, if any.
    pub tracestate: Option<String>,
}

impl TraceContext {
    /// A trace context, if `traceparent` has the W3C form `00-<32 hex>-<16 hex>-<2 hex>`, neither id
    /// all zeros nor the version `ff` (Trace Context, section 3.2).
    pub fn new(traceparent: impl Into<String>) -> Option<Self> {
        let traceparent = traceparent.into();
        let lengths = [2, 32, 16, 2];
        let mut parts = traceparent.split('-');
        let well_formed = lengths.iter().all(|&length| {
            parts.next().is_some_and(|part| {
                let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                let is_id = length > 2;
                let means_nothing = is_id && part.bytes().all(|byte| byte == b'0');
                part.len() == length && part.bytes().all(hex) && !means_nothing
            })
        }) && !traceparent.starts_with("ff");
        (well_formed && parts.next().is_none()).then_some(Self {
            traceparent,
            tracestate: None,
        })
    }

    /// Adds `tracestate`. One that is malformed, or has more than 32 members, is left out, as the
    /// trace itself is good without it; one longer than 512 bytes loses members: those over 128
    /// bytes first, then from the end (Trace Context, section 3.3).
    pub fn with_tracestate(mut self, tracestate: impl Into<String>) -> Self {
        self.tracestate = valid(tracestate.into());
        self
    }
}

/// Knows the trace of whatever is under way: a bridge from `tracing` to a tracer.
///
/// ```
/// use mcp_core::{TraceContext, TraceSource};
///
/// #[derive(Debug)]
/// struct Bridge;
///
/// impl TraceSource for Bridge {
///     fn current(&self) -> Option<TraceContext> {
///         // With tracing-opentelemetry: what a propagator writes of `Span::current().context()`.
///         let span = tracing::Span::current().id()?.into_u64();
///         TraceContext::new(format!("00-{:032x}-{span:016x}-01", 0xace))
///     }
/// }
/// ```
pub trait TraceSource: fmt::Debug + Send + Sync {
    /// The trace that what is done now belongs to. Asked in the request's own span, where there is
    /// one: the server's spans are then within it. `None` leaves it to
    /// [`CallContext::trace`](super::CallContext::trace).
    fn current(&self) -> Option<TraceContext>;
}

/// The state as it may be handed on, if it may.
fn valid(state: String) -> Option<String> {
    let blank = [' ', '\t'];
    let named = state.split(',').map(|member| member.trim_matches(blank));
    let members: Vec<&str> = named.filter(|member| !member.is_empty()).collect();
    let is_valid = |member: &&str| {
        let Some((key, value)) = member.split_once('=') else {
            return false;
        };
        // No key comes twice.
        let keys = members.iter().filter_map(|other| other.split_once('='));
        is_key(key) && is_value(value) && keys.filter(|(other, _)| *other == key).count() == 1
    };
    // Counted first: looking for a key twice is quadratic in the number.
    if members.is_empty() || members.len() > MEMBERS || !members.iter().all(is_valid) {
        return None;
    }
    if state.len() <= BYTES {
        return Some(state);
    }
    let mut kept = members;
    let length = |kept: &[&str]| kept.iter().map(|it| it.len() + 1).sum::<usize>() - 1;
    while length(&kept) > BYTES {
        let long = kept.iter().rposition(|member| member.len() > LONG_MEMBER);
        kept.remove(long.unwrap_or(kept.len() - 1));
        if kept.is_empty() {
            return None;
        }
    }
    Some(kept.join(","))
}

fn is_key(key: &str) -> bool {
    let begins = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let goes_on = |byte: u8| begins(&byte) || b"_-*/@".contains(&byte);
    key.len() <= 256 && key.as_bytes().first().is_some_and(begins) && key.bytes().all(goes_on)
}

fn is_value(value: &str) -> bool {
    let is_sign = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b',' && byte != b'=';
    (1..=256).contains(&value.len()) && !value.ends_with(' ') && value.bytes().all(is_sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent() -> TraceContext {
        let parent = format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16));
        TraceContext::new(parent).unwrap()
    }

    #[test]
    fn traceparent_is_checked() {
        let good = parent().traceparent;
        assert!(TraceContext::new(format!("{good}\r\nx")).is_none());
        assert!(TraceContext::new("00-xyz").is_none());
        for invalid in [
            good.replacen("00", "ff", 1),
            good.replace('a', "0"),
            good.replace('b', "0"),
        ] {
            assert!(TraceContext::new(invalid.clone()).is_none(), "{invalid}");
        }
    }

    #[test]
    fn a_tracestate_that_is_none_is_left_out() {
        let kept = |state: &str| parent().with_tracestate(state).tracestate.is_some();
        let many = |count| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>();
        for valid in [
            "a=1",
            "rojo=00f0-67,congo=t61,",
            "t@sys=x y , b/c*=!",
            "1a=~",
        ] {
            assert!(kept(valid), "{valid}");
        }
        assert!(kept(&many(32).join(",")));
        for invalid in [
            "",
            " , ",
            "a",
            "a=",
            "=1",
            "A=1",
            "a=1,a=2",
            "a=b=c",
            "a=1\r\nx: y",
            "a=é",
            "a=\u{7f}",
            &many(33).join(","),
            &format!("{}=1", "k".repeat(257)),
            &format!("a={}", "v".repeat(257)),
        ] {
            assert!(!kept(invalid), "{invalid}");
        }
    }

    #[test]
    fn a_long_tracestate_loses_long_members_first_then_the_last() {
        let long = format!("long={}", "v".repeat(200));
        let short: Vec<_> = (0..30)
            .map(|n| format!("k{n:02}={}", "v".repeat(14)))
            .collect();
        let given = format!("{long},{}", short.join(","));
        let kept = parent().with_tracestate(given).tracestate.unwrap();
        assert!(kept.len() <= BYTES && kept.starts_with("k00="), "{kept}");
        let mut members = kept.split(',');
        assert!(members.all(|it| short.iter().any(|known| known == it)));
        assert_eq!(kept.split(',').count(), (BYTES + 1) / 19);
    }
}
