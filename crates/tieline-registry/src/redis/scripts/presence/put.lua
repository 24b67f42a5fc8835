-- Enters and removes users under a term.
-- KEYS: its entries, then the rosters
-- ARGV: term, lease in ms, number, number of the last put acknowledged, members at most (0: any number), the names of
--       the rosters, then for each item: '+' has come, '=' is here, '-' has gone, with the place of its roster among
--       them, as in '+1'; user, information
-- -> {LOST} | {LOSS} acknowledged puts are missing | {STALE, number} a later put was here
--    | {OK, number, for each item '', 'FULL' or 'LATER'}
local term, lease, limit, entries = ARGV[2], ARGV[3], tonumber(ARGV[6]), KEYS[8]
if not redis.call('ZSCORE', terms, term) then return {'LOST'} end
local stands = tonumber(redis.call('HGET', numbers, term) or 0)
if stands < tonumber(ARGV[5]) then return {'LOSS'} end
if tonumber(ARGV[4]) <= stands then return {'STALE', text(stands)} end
redis.call('HSET', numbers, term, ARGV[4])
local hold, stood_still = hold_until(lease)
local held = hold

-- Entries that are new because nobody has the user; all are added with one command. Members of the rosters that were
-- counted.
local added, counts = {}, {}

local function add()
  if #added > 0 then redis.call('SADD', entries, unpack(added)) end
  added = {}
end

local function remove(key, roster, user, entry)
  add()
  counts[key] = nil
  local n, info = member(key, user)
  if n == 1 and hold > now and redis.call('SISMEMBER', entries, entry) == 1 then return 'LATER' end
  if redis.call('SREM', entries, entry) == 1 and n then leave(key, roster, user, n, info) end
  return ''
end

-- Somebody is still entering what was lost.
local function extend()
  if hold > now then hold = math.max(hold, now + lease / 3) end
end

local function enter(op, key, roster, user, info, entry)
  local n, had
  -- Who is entered again mostly is there, and who comes mostly is not.
  if op == '=' then n, had = member(key, user) end
  local count = counts[key] or redis.call('HLEN', key)
  counts[key] = count
  local is_full = op == '+' and limit > 0 and count >= limit
  if not n and not is_full and redis.call('HSETNX', key, user, '1 ' .. info) == 1 then
    counts[key] = count + 1
    added[#added + 1] = entry
    if count == 0 then redis.call('SADD', rosters, roster) end
    tell('+', roster, user, info, count + 1)
    if op == '=' then extend() end
    return ''
  end
  if not n then n, had = member(key, user) end
  if not n then return 'FULL' end
  add()
  local new = redis.call('SADD', entries, entry)
  if op == '=' and new == 1 then extend() end
  -- Nothing replaces something, and who is entered again does not replace what others have said since.
  if info == '' or op == '=' and had ~= '' then info = had end
  if new == 1 or info ~= had then redis.call('HSET', key, user, text(n + new) .. ' ' .. info) end
  if info ~= had then tell('~', roster, user, info, count) end
  return ''
end

-- What is done in which roster, by the text that says so: most items have one that others have.
local targets = {}
local function target(what)
  local place = tonumber(string.sub(what, 2))
  local roster = ARGV[6 + place]
  local one = {string.sub(what, 1, 1), KEYS[8 + place], roster, #roster .. ':' .. roster}
  targets[what] = one
  return one
end

local out = {'OK', ARGV[4]}
for i = 7 + #KEYS - 8, #ARGV, 3 do
  local what, user, info = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local one = targets[what] or target(what)
  local op, key, roster, entry = one[1], one[2], one[3], one[4] .. user
  out[#out + 1] = op == '-' and remove(key, roster, user, entry) or op ~= '-' and enter(op, key, roster, user, info, entry) or ''
end
add()
if stood_still then set_pulse(hold) elseif hold ~= held then redis.call('HSET', pulse, 'hold', text(hold)) end
return out
