//! What the process holds, from pause to pause.

use std::fmt::Write as _;

use tokio::runtime::Runtime;

use crate::procfs::{children, open_files, resident};

/// Memory may go up and down by so much, and by a tenth.
const ROOM: u64 = 12 << 20;

/// What is there at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Tasks of the clients' runtime.
    pub(super) tasks: usize,
    pub(super) files: usize,
    pub(super) children: usize,
    pub(super) zombies: usize,
    pub(super) resident: u64,
}

impl Sample {
    pub(super) fn now(ours: &Runtime) -> Self {
        let (children, zombies) = children();
        Self {
            tasks: ours.metrics().num_alive_tasks(),
            files: open_files(),
            children,
            zombies,
            resident: resident(),
        }
    }

    pub(super) fn is_as_before(&self, began: &Self) -> bool {
        self.tasks <= began.tasks && self.files <= began.files && self.children == 0
    }

    fn row(&self, name: &str, records: &str) -> String {
        let mebibytes = self.resident as f64 / f64::from(1 << 20);
        format!(
            "{name:<8} {:>6} {:>6} {:>9} {:>8} {mebibytes:>10.1} {records:>10}\n",
            self.tasks, self.files, self.children, self.zombies
        )
    }
}

/// One at each pause.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<(Sample, u64)>);

impl Samples {
    pub(super) fn push(&mut self, sample: Sample, records: u64) {
        self.0.push((sample, records));
    }

    /// How much memory has grown from a third of the run to its end, if that is too much.
    pub(super) fn growth(&self) -> Option<String> {
        let memory: Vec<u64> = self.0.iter().map(|(sample, _)| sample.resident).collect();
        // The first ones fill caches and queues.
        let third = memory.len() / 3;
        let early = memory.get(third..third * 2)?.iter().max()?;
        let late = memory.get(third * 2..)?.iter().min()?;
        let mebibytes = |bytes: &u64| bytes >> 20;
        (*late > early + early / 10 + ROOM)
            .then(|| format!("{} MiB, then {} MiB", mebibytes(early), mebibytes(late)))
    }

    pub(super) fn table(&self, began: &Sample, ended: &Sample) -> String {
        let mut text =
            "         tasks  files  children  zombies  memory MiB    audited\n".to_owned();
        text.push_str(&began.row("before", ""));
        for (at, (sample, records)) in self.0.iter().enumerate() {
            let _ = write!(
                text,
                "{}",
                sample.row(&(at + 1).to_string(), &records.to_string())
            );
        }
        text.push_str(&ended.row("after", ""));
        text
    }
}
