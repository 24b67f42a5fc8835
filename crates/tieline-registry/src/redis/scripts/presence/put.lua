-- Enters and removes users under a term.
-- KEYS: its entries, then the roster of each item
-- ARGV: term, lease in ms, number, number of the last put acknowledged, members at most (0: any number),
--       then for each item: '+' has come, '=' is here, '-' has gone; roster, user, information
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

local function remove(key, roster, user, entry)
  local n, info = member(key, user)
  if n == 1 and hold > now and redis.call('SISMEMBER', entries, entry) == 1 then return 'LATER' end
  if redis.call('SREM', entries, entry) == 1 and n then leave(key, roster, user, n, info) end
  return ''
end

local function enter(op, key, roster, user, info, entry)
  local n, had = member(key, user)
  local count = n and 0 or redis.call('HLEN', key)
  if not n and op == '+' and limit > 0 and count >= limit then return 'FULL' end
  local new = redis.call('SADD', entries, entry)
  -- Somebody is still entering what was lost.
  if op == '=' and new == 1 and hold > now then hold = math.max(hold, now + lease / 3) end
  if not n then
    redis.call('HSET', key, user, '1 ' .. info)
    if count == 0 then redis.call('SADD', rosters, roster) end
    tell('+', roster, user, info, count + 1)
    return ''
  end
  -- Nothing replaces something, and who is entered again does not replace what others have said since.
  if info == '' or op == '=' and had ~= '' then info = had end
  if new == 1 or info ~= had then redis.call('HSET', key, user, text(n + new) .. ' ' .. info) end
  if info ~= had then tell('~', roster, user, info, redis.call('HLEN', key)) end
  return ''
end

local out = {'OK', ARGV[4]}
for i = 7, #ARGV, 4 do
  local op, roster, user, info = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local key, entry = KEYS[9 + (i - 7) / 4], #roster .. ':' .. roster .. user
  out[#out + 1] = op == '-' and remove(key, roster, user, entry) or op ~= '-' and enter(op, key, roster, user, info, entry) or ''
end
if stood_still then set_pulse(hold) elseif hold ~= held then redis.call('HSET', pulse, 'hold', text(hold)) end
return out
