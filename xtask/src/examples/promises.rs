//! Every example, and what it promises to say.

/// An example, and pieces of what it prints, in order.
pub(super) type Example = (&'static str, &'static [&'static str]);

/// Every example that there is.
pub(super) const EXAMPLES: &[Example] = &[
    (
        "quickstart",
        &[
            "alice@acme has whoami, add, slow, read-notes",
            "bob@globex has whoami, add, slow, book_room",
            "1 hit, 2 misses",
            "mcp_call tool=\"whoami\"",
            "whoami says: alice of acme",
            "read-notes: there is no tool",
            "must be number",
            "whoami says: bob of globex",
            "attempts=2",
            "HOME NOTES_TOKEN PATH",
            "1 of them refused",
        ],
    ),
    ("bearer", &["read-notes: Reads", "20 + 22 = 42"]),
    (
        "custom_headers",
        &["alice of acme", "tools/call came with trace-2", "refused: "],
    ),
    (
        "refreshing_token",
        &[
            "reason: First",
            "reason: ",
            "call 20: alice",
            " 0 requests refused",
        ],
    ),
    ("custom_provider", &["alice of acme", "bob of acme"]),
    (
        "stdio_env",
        &[
            "SERVICE_TOKEN",
            "/no/such/folder",
            "`NO_SUCH_VARIABLE` is not set",
        ],
    ),
    (
        "multi_tenant",
        &[
            "alice's servers: {\"archive\":{\"failed\":\"connect\"},\"notes\":\"active\"",
            "principal=alice@acme",
            "alice /call/notes_whoami: 200 alice of acme",
            "bob /call/notes_whoami: 200 bob of globex",
            "carol /call/notes_whoami: 200 carol of initech",
            "the MCP servers got 0 requests",
            "bob /call/notes_read-notes: 404",
            "mallory /call/notes_whoami: 401",
            "alice /call/notes_add: 400",
            "decided_by=\"RateLimit\"",
            "carol /call/rooms_whoami: 429",
            "bob /call/rooms_whoami: 200",
            "alice /logout/rooms: 204",
            "rooms gave alice 2 tokens",
        ],
    ),
    (
        "audit",
        &[
            "\"param_model\":\"MCP_whoami_Input\"",
            "shout: HEY",
            "decided_by=\"NoSlowTools\"",
            "slow: ",
            "nobody has the time",
        ],
    ),
    (
        "oauth_client_credentials",
        &[
            "done",
            "/.well-known/oauth-authorization-server",
            "POST /token",
        ],
    ),
    (
        "oauth_login",
        &[
            "must authorize first",
            "alice has authorized",
            "done",
            "revoked: true",
        ],
    ),
    (
        "dpop",
        &[
            "bob: done",
            "2 calls took 4 requests",
            "a key of their own: true",
            "as a bearer token: 401",
            "without a proof: 401",
            "that was used: 401",
        ],
    ),
    (
        "workload_identity",
        &[
            "done",
            "done",
            "test-platform-token-1",
            "test-platform-token-2",
        ],
    ),
    (
        "rmcp_bridge",
        &["rmcp says: alice of acme", "given 2 tokens"],
    ),
    (
        "openai_tools",
        &[
            "== OpenAI\n",
            "strict\": true",
            "left out: ",
            "== Anthropic",
            "== Gemini",
        ],
    ),
    (
        "single_crate_auth",
        &[
            "the source is asked",
            "send authorization, x-tenant-id",
            "known as ",
        ],
    ),
    ("single_crate_stdio", &["environment", "1 + 2 = 3"]),
    (
        "rig_agent",
        &["alice calls weather_now", "answer: It is 21 degrees"],
    ),
];

/// The same with arguments: other ways to run an example.
pub(super) const OTHER_WAYS: &[(&str, &[&str], &[&str])] = &[(
    "multi_tenant",
    &["--replicas", "3"],
    &[
        "replica 3 serves at",
        "{\"login\":",
        "alice comes back: 204",
        "alice comes back: 403",
        "alice's servers: {\"calendar\":\"active\"}",
        "alice /call/echo: 200",
        "bob /call/echo: 404",
        "alice /call/echo: 429",
        "alice /logout/calendar: 204",
        "replica 3 knew within a second: true",
    ],
)];
