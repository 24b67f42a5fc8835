-- Ends the terms whose lease has run out, and removes some entries of one of those that are over.
-- ARGV: lease in ms, entries at most, prefix of the sets of entries, prefix of the rosters
-- -> {HOLD, ms} | {OK, terms with entries left}
local hold = hold_until(ARGV[2])
set_pulse(hold)
if hold > now then return {'HOLD', hold - now} end
for _, term in ipairs(redis.call('ZRANGEBYSCORE', terms, '-inf', text(now), 'LIMIT', '0', '100')) do
  redis.call('ZREM', terms, term)
  redis.call('SADD', buried, term)
end
local term = redis.call('SRANDMEMBER', buried)
if term then
  -- Everything is read before anything is written: while a slot moves, a key that is elsewhere ends the script.
  local entries, gone = ARGV[4] .. term, {}
  for _, entry in ipairs(redis.call('SRANDMEMBER', entries, ARGV[3])) do
    local size, rest = string.match(entry, '^(%d+):(.*)$')
    local roster, user = string.sub(rest, 1, size), string.sub(rest, size + 1)
    local key = ARGV[5] .. roster
    redis.call('HLEN', key)
    gone[#gone + 1] = {entry, key, roster, user}
  end
  for _, one in ipairs(gone) do
    local entry, key, roster, user = unpack(one)
    redis.call('SREM', entries, entry)
    local n, info = member(key, user)
    if n then leave(key, roster, user, n, info) end
  end
  if redis.call('SCARD', entries) == 0 then
    redis.call('SREM', buried, term)
    redis.call('HDEL', numbers, term)
  end
end
return {'OK', redis.call('SCARD', buried)}
