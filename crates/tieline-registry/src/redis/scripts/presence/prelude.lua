-- The beginning of every script about presence: the names of the keys, the time, and the journal.
--
-- KEYS are in one slot of a Redis Cluster. A script names each key that it writes, so that while a slot moves, Redis
-- refuses the script as a whole instead of failing in its middle; `tend`, which cannot know them, reads each before it
-- writes any. All scripts have the first seven:
--   terms    zset    living terms -> end of their lease, in ms of TIME
--   numbers  hash    term -> number of its last put
--   buried   set     terms that are over and still have entries
--   journal  stream  transitions, each of two fields: one is named by the roster and has the user; the other is named
--                    by what happened, '+' | '-' | '~', and the number of members from then on, and has the information.
--                    More fields, or texts that are put together, would cost more time. '!' begins a journal
--   pulse    hash    'last' beat or tending; until when nobody goes ('hold'), both in ms of TIME
--   rosters  set     rosters that have members
--   hook     hash    'by' which term; 'at' which position the dispatcher is
-- Then come the set of entries of a term, `<length of roster>:<roster><user>`, and the hashes of rosters, user ->
-- "number of terms that have it, information".
--
-- ARGV[1] belongs to the client and says nothing here: a late put is refused by its number.
local terms, numbers, buried, journal, pulse, rosters, hook = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local LENGTH = '65536'

-- A write that frees memory and changes nothing: a full server then takes the script as a whole, and a master that
-- has become a replica refuses it.
redis.call('ZREM', terms, '')

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function text(number)
  return string.format('%.0f', number)
end

local function last_beat()
  local last, hold = redis.call('HGET', pulse, 'last'), redis.call('HGET', pulse, 'hold')
  return tonumber(last or 0), tonumber(hold or 0)
end

-- Until when nobody goes. If nobody has beaten for half a lease, the server stood still, lost its data, or its clock
-- leapt: then everybody gets a lease of time to beat, and to enter again what is missing.
local function hold_until(lease)
  local last, hold = last_beat()
  if now - last > lease / 2 then return now + lease, true end
  return hold, false
end

local function set_pulse(hold)
  redis.call('HSET', pulse, 'last', text(now), 'hold', text(hold))
end

-- The end of the journal.
local function tail()
  local last = redis.call('XREVRANGE', journal, '+', '-', 'COUNT', '1')[1]
  return last and last[1] or ''
end

-- Appends a transition. The journal is made shorter once in a script, and not for each.
local is_short = false
local function tell(kind, roster, user, info, count)
  if is_short then
    redis.call('XADD', journal, '*', roster, user, kind .. count, info)
  else
    redis.call('XADD', journal, 'MAXLEN', '~', LENGTH, '*', roster, user, kind .. count, info)
    is_short = true
  end
end

-- The number of terms that have a user, and the information about it; nil for one who is no member.
local function member(key, user)
  local value = redis.call('HGET', key, user)
  if not value then return nil end
  local n, info = string.match(value, '^(%d+) (.*)$')
  return tonumber(n), info
end

-- Removes one entry of a user, who has `n`.
local function leave(key, roster, user, n, info)
  if n > 1 then
    redis.call('HSET', key, user, text(n - 1) .. ' ' .. info)
    return
  end
  redis.call('HDEL', key, user)
  local count = redis.call('HLEN', key)
  if count == 0 then redis.call('SREM', rosters, roster) end
  tell('-', roster, user, '', count)
end
