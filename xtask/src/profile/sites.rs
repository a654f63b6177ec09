//! The places that allocate, out of what valgrind's dhat counted.

use std::collections::BTreeMap;

use serde_json::Value;

/// What one place allocates in a call.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Site {
    pub(super) times: f64,
    pub(super) bytes: f64,
}

/// The places that allocate in at least every second call: what so many `calls` added.
pub(super) fn sites(before: &Value, with_calls: &Value, calls: f64) -> BTreeMap<String, Site> {
    let mut sites = totals(with_calls);
    for (place, before) in totals(before) {
        let site = sites.entry(place).or_default();
        site.times -= before.times;
        site.bytes -= before.bytes;
    }
    sites.retain(|_, site| {
        site.times /= calls;
        site.bytes /= calls;
        site.times >= 0.5
    });
    sites
}

/// All that was allocated in a run, by the frames that say most.
fn totals(counted: &Value) -> BTreeMap<String, Site> {
    let list = |value: &Value, field: &str| {
        let list = value.get(field).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let number =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_f64).unwrap_or_default();
    let frames = list(counted, "ftbl");
    let mut sites: BTreeMap<String, Site> = BTreeMap::new();
    for point in list(counted, "pps") {
        let stack = list(&point, "fs");
        let names = stack.iter().filter_map(|frame| {
            let frame = frames.get(usize::try_from(frame.as_u64()?).ok()?)?;
            function(frame.as_str()?)
        });
        let names: Vec<String> = names.collect();
        let first = |says: fn(&str) -> bool| -> Vec<&str> {
            let names = names.iter().map(String::as_str);
            names.filter(|name| says(name)).take(3).collect()
        };
        let mut place = first(says_something);
        if place.is_empty() {
            // All of them inlined, their paths unknown: the files say more than nothing.
            place = first(is_beyond_std);
        }
        let site = sites.entry(place.join(" < ")).or_default();
        site.times += number(&point, "tbk");
        site.bytes += number(&point, "tb");
    }
    sites
}

/// `function (file:line)` of a frame `0x123: function (file:line)`, generic arguments left out.
fn function(frame: &str) -> Option<String> {
    let (_, function) = frame.split_once(": ")?;
    let (name, place) = function.rsplit_once(" (")?;
    // `<T as Trait>::method` needs them.
    let name = if name.starts_with('<') {
        name.to_owned()
    } else {
        without_generics(name)
    };
    Some(format!("{name} ({place}"))
}

/// `mcp_http::pool::send` of `mcp_http::pool::<impl Pool>::send<Body>`.
fn without_generics(name: &str) -> String {
    let mut depth = 0_usize;
    let mut kept = String::new();
    let mut before = ' ';
    for letter in name.chars() {
        match letter {
            '<' => depth += 1,
            // The arrow of a function's type closes nothing.
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(letter),
            _ => {}
        }
        before = letter;
    }
    kept.replace("::::", "::")
}

/// Whether a frame is more than the way into the allocator or from one library to another.
fn says_something(name: &str) -> bool {
    let silent = [
        "alloc::",
        "<alloc::",
        "core::",
        "<core::",
        "std::",
        "<std::",
        "mcp_bench",
        "<mcp_bench",
        "tokio::",
        "<tokio::",
    ];
    let is_path = name
        .split(" (")
        .next()
        .is_some_and(|name| name.contains("::"));
    is_path && !silent.iter().any(|start| name.starts_with(start)) && !name.contains("__rust")
}

/// Whether a frame is of no file of the standard library or of valgrind.
fn is_beyond_std(name: &str) -> bool {
    !name.contains(" (library/") && !name.contains(" (in ")
}

#[test]
fn what_allocates_in_every_call_is_listed_by_who_asked() {
    let run = |times: u32| {
        serde_json::json!({
            "ftbl": ["[root]", "0x1: malloc (in vg.so)", "0x2: alloc::vec::push (library/alloc/src/vec.rs:1)",
                "0x3: hyper::<impl Pool>::send<fn() -> B> (send.rs:2)", "0x4: mcp_http::call (call.rs:3)",
                "0x5: UnknownInlinedFun (chan.rs:4)"],
            "pps": [
                { "tb": 8 * times, "tbk": times, "fs": [1, 2, 5] },
                { "tb": 64 * times, "tbk": times, "fs": [1, 2, 3, 4] },
                { "tb": 100, "tbk": 1, "fs": [1, 4] },
            ],
        })
    };
    let sites = sites(&run(20), &run(120), 100.0);
    let site = &sites["hyper::send (send.rs:2) < mcp_http::call (call.rs:3)"];
    assert_eq!(
        *site,
        Site {
            times: 1.0,
            bytes: 64.0
        }
    );
    assert!(sites.contains_key("UnknownInlinedFun (chan.rs:4)"));
    assert_eq!(sites.len(), 2);
}
