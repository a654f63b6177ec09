//! What Redis does in one step. Revisions and fences are the server's clock in microseconds, or one
//! more than the last where that is later: they grow even past a flush, which a counter would not
//! survive.

use std::sync::LazyLock;

use crate::connection::Script;

pub(super) struct Scripts {
    pub(super) save: Script,
    pub(super) delete: Script,
    pub(super) lease: Script,
    pub(super) renew: Script,
    pub(super) release: Script,
}

pub(super) static SCRIPTS: LazyLock<Scripts> = LazyLock::new(|| Scripts {
    save: Script::new(SAVE),
    delete: Script::new(DELETE),
    lease: Script::new(LEASE),
    renew: Script::new(RENEW),
    release: Script::new(RELEASE),
});

/// A number as the scripts write it.
pub(super) fn hex(number: u64) -> String {
    format!("{number:016x}")
}

/// Keys: token, lease. Arguments: condition, fence, id of the writing, body, life in milliseconds,
/// channel, message. Answers the new revision, `conflict` or `lost`.
const SAVE: &str = r"
local head = redis.call('GETRANGE', KEYS[1], 0, 31)
local revision = string.sub(head, 1, 16)
if string.sub(head, 17, 32) == ARGV[3] then
  return revision
end
if ARGV[2] ~= '' then
  local fence = redis.call('HGET', KEYS[2], 'f')
  if fence and tonumber(fence) > tonumber(ARGV[2]) then
    return 'lost'
  end
end
local there = redis.call('STRLEN', KEYS[1]) > 32
if ARGV[1] == 'none' then
  if there then return 'conflict' end
elseif ARGV[1] ~= 'any' then
  if not there or revision ~= ARGV[1] then return 'conflict' end
end
local time = redis.call('TIME')
local number = time[1] * 1000000 + time[2]
if revision ~= '' then
  number = math.max(number, tonumber(revision, 16) + 1)
end
revision = string.format('%016x', number)
local value = revision .. ARGV[3] .. ARGV[4]
redis.call('SET', KEYS[1], value, 'PX', ARGV[5])
redis.call('PUBLISH', ARGV[6], ARGV[7])
return revision
";

/// Key: token. Arguments: how long to remember that it was deleted, where it had no end; channel,
/// message. What stays is a head without a body, so that a deletion is not taken for a loss.
const DELETE: &str = r"
if redis.call('STRLEN', KEYS[1]) <= 32 then
  return 0
end
local life = redis.call('PTTL', KEYS[1])
if life <= 0 then
  life = ARGV[1]
end
local time = redis.call('TIME')
local last = tonumber(redis.call('GETRANGE', KEYS[1], 0, 15), 16)
local number = math.max(time[1] * 1000000 + time[2], last + 1)
redis.call('SET', KEYS[1], string.format('%016x', number) .. string.rep('-', 16), 'PX', life)
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
";

/// Key: lease. Arguments: its time and how long its fence is remembered, in milliseconds; its
/// holder. Answers the fence, or nothing while somebody else has it.
const LEASE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'f', 'u', 'h')
if held[2] and tonumber(held[2]) > now then
  if held[3] == ARGV[3] then
    return held[1]
  end
  return false
end
local fence = time[1] * 1000000 + time[2]
if held[1] then
  fence = math.max(fence, tonumber(held[1]) + 1)
end
fence = string.format('%.0f', fence)
local until_ = string.format('%.0f', now + ARGV[1])
redis.call('HSET', KEYS[1], 'f', fence, 'u', until_, 'h', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return fence
";

/// Key: lease. Arguments: fence, time, how long the fence is remembered. Answers whether it is still
/// the latest. A lease that was lost with Redis is taken up again.
const RENEW: &str = r"
local held = redis.call('HMGET', KEYS[1], 'f', 'u')
if held[1] and (held[1] ~= ARGV[1] or held[2] == '0') then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local until_ = string.format('%.0f', now + ARGV[2])
redis.call('HSET', KEYS[1], 'f', ARGV[1], 'u', until_)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
";

/// Key: lease. Arguments: fence, channel, message.
const RELEASE: &str = r"
if redis.call('HGET', KEYS[1], 'f') ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'u', '0')
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
";
