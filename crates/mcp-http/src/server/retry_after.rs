//! How long a server asks to be left alone (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime};

use http::{StatusCode, header};
use mcp_core::auth::time::{Clock, SystemClock};

use crate::client::HttpResponse;

/// A server asks for at most a day; what says more is clamped.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What a 429 or 503 asks for. Other statuses do not mean it as a time to try again.
pub(super) fn of(response: &HttpResponse) -> Option<Duration> {
    let asks = matches!(
        response.status(),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let value = response.header(&header::RETRY_AFTER).filter(|_| asks)?;
    read(value.trim(), SystemClock.wall())
}

/// Seconds, or a date; a date that has passed asks for nothing.
fn read(value: &str, now: SystemTime) -> Option<Duration> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let wait = if digits {
        // Digits without end are a time without end.
        value.parse().map_or(LONGEST, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        date.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_clamped() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let seconds = |value| read(value, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("99999999999999999999999"), Some(86_400));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:07 GMT"), Some(0));
        assert_eq!(seconds("Fri, 06 Nov 2065 08:49:37 GMT"), Some(86_400));
        for nonsense in ["", "-5", "1.5", "soon", "5 s"] {
            assert_eq!(seconds(nonsense), None, "{nonsense}");
        }
    }
}
