//! Variables that make a loader or an interpreter run other code.

/// A child whose configuration may set these runs whatever the configuration's author likes,
/// whichever program was approved.
const NAMES: &[&str] = &[
    "BASH_ENV",
    "CLASSPATH",
    "CORECLR_PROFILER",
    "CORECLR_PROFILER_PATH",
    "COR_PROFILER",
    "COR_PROFILER_PATH",
    "DOTNET_STARTUP_HOOKS",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LUA_CPATH",
    "LUA_INIT",
    "LUA_PATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NPM_CONFIG_NODE_OPTIONS",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PYTHONBREAKPOINT",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "RUBYLIB",
    "RUBYOPT",
    "SHELLOPTS",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];

const PREFIXES: &[&str] = &["BASH_FUNC_", "DYLD_", "LD_"];

/// Whether a variable of this name makes a loader or an interpreter run other code, such as
/// `LD_PRELOAD` and `NODE_OPTIONS`: a [`StdioServer`](crate::StdioServer) refuses it unless it is
/// [allowed](crate::StdioServerBuilder::allow_unsafe_env). For whoever checks a configuration.
pub fn runs_other_code(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    NAMES.binary_search(&name.as_str()).is_ok()
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loaders_and_interpreters_are_known() {
        assert!(NAMES.is_sorted());
        for name in [
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "DYLD_INSERT_LIBRARIES",
            "NODE_OPTIONS",
            "npm_config_node_options",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "BASH_ENV",
            "PERL5OPT",
            "RUBYOPT",
            "JAVA_TOOL_OPTIONS",
        ] {
            assert!(runs_other_code(name), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "API_TOKEN",
            "ENV",
            "NODE_ENV",
            "LDAP_URL",
            "PYTHONUNBUFFERED",
        ] {
            assert!(!runs_other_code(name), "{name}");
        }
    }
}
