//! The places that allocate, out of what valgrind's dhat counted.

use std::collections::BTreeMap;

use serde_json::Value;

/// What one place allocates in a call.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Site {
    pub(super) times: f64,
    pub(super) bytes: f64,
}

/// The places that allocate in at least every second call, by the frames that say most.
pub(super) fn sites(counted: &Value, calls: f64) -> BTreeMap<String, Site> {
    let list = |value: &Value, field: &str| {
        let list = value.get(field).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let number =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_f64).unwrap_or_default();
    let frames = list(counted, "ftbl");
    let mut sites: BTreeMap<String, Site> = BTreeMap::new();
    for point in list(counted, "pps") {
        let (times, bytes) = (number(&point, "tbk") / calls, number(&point, "tb") / calls);
        if times < 0.5 {
            continue;
        }
        let stack = list(&point, "fs");
        let names = stack.iter().filter_map(|frame| {
            let frame = frames.get(usize::try_from(frame.as_u64()?).ok()?)?;
            function(frame.as_str()?)
        });
        let place: Vec<String> = names.filter(|name| says_something(name)).take(3).collect();
        let site = sites.entry(place.join(" < ")).or_default();
        site.times += times;
        site.bytes += bytes;
    }
    sites
}

/// `function (file:line)` of a frame `0x123: function (file:line)`, generic arguments left out.
fn function(frame: &str) -> Option<String> {
    let (_, function) = frame.split_once(": ")?;
    let (name, place) = function.rsplit_once(" (")?;
    let name = if name.starts_with('<') {
        name
    } else {
        name.split('<').next().unwrap_or(name)
    };
    Some(format!("{name} ({place}"))
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

#[test]
fn what_allocates_in_every_call_is_listed_by_who_asked() {
    let counted = serde_json::json!({
        "ftbl": ["[root]", "0x1: malloc (in vg.so)", "0x2: alloc::vec::push (vec.rs:1)",
            "0x3: hyper::send (send.rs:2)", "0x4: mcp_http::call (call.rs:3)"],
        "pps": [
            { "tb": 6400, "tbk": 100, "fs": [1, 2, 3, 4] },
            { "tb": 100, "tbk": 1, "fs": [1, 4] },
        ],
    });
    let sites = sites(&counted, 100.0);
    let site = &sites["hyper::send (send.rs:2) < mcp_http::call (call.rs:3)"];
    assert_eq!(
        *site,
        Site {
            times: 1.0,
            bytes: 64.0
        }
    );
    assert_eq!(sites.len(), 1);
}
