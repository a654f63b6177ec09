//! What each path answers.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Code, Granted, Reply, State, dpop, lock};
use crate::fault::{Request, Wire};

pub(super) async fn answer(
    state: &Mutex<State>,
    request: &Request,
    mut wire: Wire,
) -> Option<Wire> {
    let issuer = format!("http://{}", request.header("host").unwrap_or_default());
    let path = request.path.split('?').next().unwrap_or_default();
    let mut held = lock(state).held.subscribe();
    // The server is gone where this fails, and its connections with it.
    let _ = held.wait_for(|held| !held.contains(path)).await;
    let scripted = {
        let mut state = lock(state);
        let replies = state.replies.get_mut(path);
        replies.and_then(|replies| match replies.len() {
            0 | 1 => replies.front().cloned(),
            _ => replies.pop_front(),
        })
    };
    let reply = match scripted {
        Some(reply) => Some(reply),
        None => lock(state).own(&issuer, path, request),
    };
    let delay = lock(state).token_delay;
    if path == "/token" && !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let written = match reply {
        Some(reply) => {
            let headers: Vec<_> = reply
                .headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            wire.respond(reply.status, &headers, &reply.body).await
        }
        // The resource, to somebody who may.
        None => wire.modern(request).await,
    };
    written.then_some(wire)
}

pub(super) fn form(request: &Request) -> BTreeMap<String, String> {
    pairs(&String::from_utf8_lossy(&request.body))
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    text.split('&')
        .filter(|it| !it.is_empty())
        .map(pair)
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                bytes.extend(u8::from_str_radix(&hex, 16));
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn merged(mut value: Value, patch: &Value) -> Value {
    if let (Some(fields), Some(patch)) = (value.as_object_mut(), patch.as_object()) {
        for (name, value) in patch {
            if value.is_null() {
                fields.remove(name);
            } else {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
    value
}

impl State {
    /// `None` where the resource itself answers.
    fn own(&mut self, issuer: &str, path: &str, request: &Request) -> Option<Reply> {
        let at = |path: &str| format!("{issuer}{path}");
        Some(match path {
            "/mcp" => return self.resource(issuer, request),
            "/prm" | "/.well-known/oauth-protected-resource/mcp" => {
                let metadata = json!({
                    "resource": at("/mcp"), "authorization_servers": [issuer],
                    "scopes_supported": ["tools:read", "tools:list"],
                });
                Reply::json(200, &merged(metadata, &self.resource_metadata))
            }
            "/.well-known/oauth-authorization-server" => {
                let mut metadata = json!({
                    "issuer": issuer,
                    "authorization_endpoint": at("/authorize"),
                    "token_endpoint": at("/token"),
                    "registration_endpoint": at("/register"),
                    "revocation_endpoint": at("/revoke"),
                    "device_authorization_endpoint": at("/device"),
                    "code_challenge_methods_supported": ["S256"],
                    "token_endpoint_auth_methods_supported": ["none", "client_secret_post"],
                    "authorization_response_iss_parameter_supported": true,
                });
                if self.proofs.binding {
                    metadata["dpop_signing_alg_values_supported"] = json!(["ES256"]);
                }
                Reply::json(200, &merged(metadata, &self.server_metadata))
            }
            "/register" => {
                self.count += 1;
                let client = format!("client-{}", self.count);
                self.clients.insert(client.clone());
                let registered = json!({
                    "client_id": client, "client_secret": "test-client-secret",
                    "token_endpoint_auth_method": "client_secret_post",
                });
                Reply::json(201, &merged(request.json(), &registered))
            }
            "/authorize" => self.authorize(issuer, request),
            "/token" => match self.proofs.key(request, &at(path), None) {
                Ok(key) => self.token(&form(request), key),
                Err(refusal) => refusal.at_token_endpoint(),
            },
            "/revoke" => {
                let token = form(request).remove("token").unwrap_or_default();
                self.refresh.remove(&token);
                self.access.remove(&token);
                Reply::json(200, &json!({}))
            }
            "/device" => Reply::json(
                200,
                &json!({
                    "device_code": "test-device-code", "user_code": "WDJB-MJHT",
                    "verification_uri": at("/activate"), "expires_in": 900, "interval": 5,
                }),
            ),
            _ => Reply::json(404, &json!({})),
        })
    }

    fn resource(&mut self, issuer: &str, request: &Request) -> Option<Reply> {
        let authorization = request.header("authorization").unwrap_or_default();
        let (scheme, token) = authorization.split_once(' ').unwrap_or_default();
        self.lives.show(token);
        let Some(granted) = self.access.get(token) else {
            let own = || format!("resource_metadata=\"{issuer}/prm\", scope=\"tools:read\"");
            let parameters = self.challenge.clone().unwrap_or_else(own);
            let reply = Reply::json(401, &json!({}));
            return Some(reply.header("WWW-Authenticate", &format!("Bearer {parameters}")));
        };
        if let Some(key) = &granted.key {
            let url = format!("{issuer}/mcp");
            match self.proofs.key(request, &url, Some(token)) {
                Err(refusal) => return Some(refusal.at_resource()),
                Ok(proven) if scheme != "DPoP" || proven.as_ref() != Some(key) => {
                    let why = "the token is bound to another key";
                    return Some(dpop::unauthorized("invalid_token", why));
                }
                Ok(_) => {}
            }
        }
        let scopes = &granted.scopes;
        let needed = self.needed.as_ref()?;
        let has = scopes.split(' ').any(|scope| scope == needed);
        if has || request.rpc_method() != "tools/call" {
            return None;
        }
        let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\"");
        Some(Reply::json(403, &json!({})).header("WWW-Authenticate", &challenge))
    }

    fn authorize(&mut self, issuer: &str, request: &Request) -> Reply {
        let query = request.path.split_once('?').unwrap_or_default().1;
        let query = pairs(query);
        let field = |name: &str| query.get(name).cloned().unwrap_or_default();
        self.count += 1;
        let code = format!("test-code-{}", self.count);
        let granted = Granted {
            scopes: field("scope"),
            key: query
                .get("dpop_jkt")
                .filter(|_| self.proofs.binding)
                .cloned(),
        };
        let challenge = field("code_challenge");
        self.codes.insert(code.clone(), Code { challenge, granted });
        let to = format!(
            "{}?code={code}&state={}&iss={}",
            field("redirect_uri"),
            field("state"),
            issuer.replace(':', "%3A").replace('/', "%2F"),
        );
        Reply::json(302, &json!({})).header("Location", &to)
    }

    fn token(&mut self, form: &BTreeMap<String, String>, key: Option<String>) -> Reply {
        let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if let Some(code) = &self.echo {
            let sent: Vec<_> = form.values().cloned().collect();
            return Reply::error(code, &format!("no: {}", sent.join(" ")));
        }
        let dynamic = field("client_id").starts_with("client-");
        if dynamic && !self.clients.contains(field("client_id")) {
            return Reply::error("invalid_client", "nobody of that name");
        }
        let granted = match field("grant_type") {
            "authorization_code" => {
                let Some(Code { challenge, granted }) = self.codes.remove(field("code")) else {
                    return Reply::error("invalid_grant", "the code is used or unknown");
                };
                let digest = Sha256::digest(field("code_verifier").as_bytes());
                if URL_SAFE_NO_PAD.encode(digest) != challenge {
                    return Reply::error("invalid_grant", "the verifier does not fit");
                }
                granted
            }
            "refresh_token" => {
                let token = field("refresh_token");
                let lost = self
                    .used
                    .contains(token)
                    .then(|| self.lives.lost_answer(token));
                let again = lost.flatten().and_then(|next| {
                    self.access.remove(&format!("test-access-{next}"));
                    self.refresh.remove(&format!("test-refresh-{next}"))
                });
                let Some(granted) = again.or_else(|| self.refresh.remove(token)) else {
                    self.lives.refused += 1;
                    if self.used.contains(token) {
                        // Somebody has stolen it.
                        self.reused += 1;
                        self.refresh.clear();
                    }
                    return Reply::error("invalid_grant", "the refresh token is used or unknown");
                };
                self.used.insert(token.to_owned());
                self.lives.refresh(token, self.count + 1);
                granted
            }
            "urn:ietf:params:oauth:grant-type:device_code" if !self.device_approved => {
                return Reply::error("authorization_pending", "");
            }
            _ => Granted {
                scopes: field("scope").to_owned(),
                key: None,
            },
        };
        if granted.key.is_some() && granted.key != key {
            return Reply::error("invalid_grant", "it is bound to another key");
        }
        let bound = Granted { key, ..granted };
        self.count += 1;
        let (access, refresh) = (
            format!("test-access-{}", self.count),
            format!("test-refresh-{}", self.count),
        );
        self.lives
            .issue(self.count, Duration::from_secs(self.lifetime));
        self.access.insert(access.clone(), bound.clone());
        let mut answer = json!({
            "access_token": access, "expires_in": self.lifetime, "scope": bound.scopes,
            "token_type": if bound.key.is_some() { "DPoP" } else { "Bearer" },
        });
        if matches!(field("grant_type"), "authorization_code" | "refresh_token") {
            self.refresh.insert(refresh.clone(), bound);
            answer["refresh_token"] = refresh.into();
        }
        Reply::json(200, &answer)
    }
}
