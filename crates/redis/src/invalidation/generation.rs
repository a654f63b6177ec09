//! Noticing that something was missed.

use std::str::FromStr;
use std::time::Duration;

use mcp_core::auth::time::Instant;

/// A message that was counted may be under way still for so long.
pub(super) const UNDER_WAY: Duration = Duration::from_millis(300);

/// How many messages there have been since the count began, and which count it is: one that begins
/// anew has another name, however far it gets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Generation {
    pub(super) count: String,
    pub(super) number: u64,
}

impl FromStr for Generation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (count, number) = text.split_once(':').ok_or(())?;
        Ok(Self {
            count: count.to_owned(),
            number: number.parse().map_err(|_| ())?,
        })
    }
}

/// What a listener knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    last: Option<Generation>,
    /// Whether the number has been found once. What was said before is not known.
    begun: bool,
    /// There has been a message of this number, which must come until then.
    expected: Option<(u64, Instant)>,
}

/// Whether something was missed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Heard {
    All,
    Missed,
    /// Not known yet: see [`Known::until`].
    PerhapsAll,
}

impl Known {
    /// What was heard last.
    pub(super) fn last(&self) -> Option<&Generation> {
        self.last.as_ref()
    }

    /// When it is known at the latest whether something was missed.
    pub(super) fn until(&self) -> Option<Instant> {
        self.expected.map(|(_, until)| until)
    }

    /// A message of this number was heard. They come in their order.
    pub(super) fn hear(&mut self, at: Generation) -> Heard {
        let heard = match &self.last {
            Some(last) if last.count != at.count => Heard::Missed,
            // Counted when the number was looked up, and under way until now.
            Some(last) if at.number <= last.number => return self.state(),
            Some(last) if at.number == last.number + 1 => Heard::All,
            Some(_) => Heard::Missed,
            None => Heard::All,
        };
        self.last = Some(at);
        if heard == Heard::Missed {
            self.expected = None;
            return heard;
        }
        self.state()
    }

    /// This number was found by somebody who knew of `asked` when he asked.
    pub(super) fn find(
        &mut self,
        found: Generation,
        asked: Option<&Generation>,
        now: Instant,
    ) -> Heard {
        let begun = std::mem::replace(&mut self.begun, true);
        let Some(last) = self.last.as_ref().filter(|_| begun) else {
            let heard = self.last.take();
            let newer = heard.filter(|it| it.count == found.count && it.number > found.number);
            self.last = Some(newer.unwrap_or(found));
            return Heard::Missed;
        };
        let same = last.count == found.count;
        if !same && asked.is_some_and(|asked| asked.count == found.count) {
            // A new count has been heard of since.
            return self.state();
        }
        let went_back = asked.is_some_and(|asked| asked.number > found.number);
        if !same || went_back {
            self.last = Some(found);
            self.expected = None;
            return Heard::Missed;
        }
        if found.number > last.number && self.expected.is_none() {
            let until = now.checked_add(UNDER_WAY).unwrap_or(now);
            self.expected = Some((found.number, until));
        }
        self.state()
    }

    /// It is this late.
    pub(super) fn wait(&mut self, now: Instant) -> Heard {
        match (self.expected, &mut self.last) {
            (Some((number, until)), Some(last)) if until <= now && last.number < number => {
                last.number = number;
                self.expected = None;
                Heard::Missed
            }
            _ => self.state(),
        }
    }

    fn state(&mut self) -> Heard {
        let number = self.last.as_ref().map_or(0, |last| last.number);
        self.expected = self.expected.filter(|(expected, _)| *expected > number);
        match self.expected {
            Some(_) => Heard::PerhapsAll,
            None => Heard::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(count: &str, number: u64) -> Generation {
        let count = count.to_owned();
        Generation { count, number }
    }

    /// One who knows of this.
    fn knowing(count: &str, number: u64) -> Known {
        let mut known = Known::default();
        known.find(at(count, number), None, Instant::now());
        known
    }

    #[test]
    fn one_after_the_other_is_all() {
        let mut known = Known::default();
        // Whoever comes late does not know what was said before, whatever it hears first.
        assert_eq!(known.hear(at("a", 7)), Heard::All);
        assert_eq!(known.find(at("a", 6), None, Instant::now()), Heard::Missed);
        assert_eq!(known.hear(at("a", 7)), Heard::All);
        assert_eq!(known.hear(at("a", 8)), Heard::All);
        let asked = known.last().cloned();
        assert_eq!(
            known.find(at("a", 8), asked.as_ref(), Instant::now()),
            Heard::All
        );
        assert_eq!(known.until(), None);
    }

    #[test]
    fn a_hole_another_count_and_a_step_back_are_noticed() {
        assert_eq!(knowing("a", 7).hear(at("a", 9)), Heard::Missed);
        // However far the new count is.
        for number in [1, 7, 8, 9] {
            assert_eq!(knowing("a", 7).hear(at("b", number)), Heard::Missed);
            let asked = at("a", 7);
            let found = knowing("a", 7).find(at("b", number), Some(&asked), Instant::now());
            assert_eq!(found, Heard::Missed);
        }
        let mut known = knowing("a", 7);
        assert_eq!(
            known.find(at("a", 6), Some(&at("a", 7)), Instant::now()),
            Heard::Missed
        );
        assert_eq!(known.hear(at("a", 7)), Heard::All);
    }

    #[test]
    fn what_was_found_may_be_older_than_what_was_heard() {
        let mut known = knowing("a", 9);
        assert_eq!(
            known.find(at("a", 8), Some(&at("a", 7)), Instant::now()),
            Heard::All
        );
        assert_eq!(known.hear(at("a", 10)), Heard::All);
        let mut known = knowing("b", 1);
        assert_eq!(
            known.find(at("a", 8), Some(&at("a", 8)), Instant::now()),
            Heard::All
        );
        assert_eq!(known.hear(at("b", 2)), Heard::All);
    }

    #[test]
    fn a_message_may_be_under_way_for_a_moment() {
        let (now, asked) = (Instant::now(), at("a", 7));
        let mut known = knowing("a", 7);
        assert_eq!(known.find(at("a", 9), Some(&asked), now), Heard::PerhapsAll);
        assert_eq!(known.wait(now), Heard::PerhapsAll);
        assert_eq!(known.hear(at("a", 8)), Heard::PerhapsAll);
        assert_eq!(known.hear(at("a", 9)), Heard::All);
        assert_eq!(known.wait(now + UNDER_WAY), Heard::All);
        // One that does not come was missed, once.
        let mut known = knowing("a", 7);
        assert_eq!(known.find(at("a", 9), Some(&asked), now), Heard::PerhapsAll);
        let later = now + UNDER_WAY / 2;
        assert_eq!(
            known.find(at("a", 11), Some(&asked), later),
            Heard::PerhapsAll
        );
        assert_eq!(known.until(), Some(now + UNDER_WAY));
        assert_eq!(known.wait(now + UNDER_WAY), Heard::Missed);
        assert_eq!(known.wait(now + UNDER_WAY), Heard::All);
        assert_eq!(known.hear(at("a", 10)), Heard::All);
    }
}
