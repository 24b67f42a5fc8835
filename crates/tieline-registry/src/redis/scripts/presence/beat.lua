-- Renews a term.
-- KEYS: its entries  ARGV: term, time to live and lease in ms
-- -> {OK, number of the last put, tail, entries, ms for which nobody goes} | {LOST}
local term, entries = ARGV[2], KEYS[8]
local hold = hold_until(ARGV[4])
set_pulse(hold)
if not redis.call('ZSCORE', terms, term) then return {'LOST'} end
redis.call('ZADD', terms, text(now + ARGV[3]), term)
return {'OK', redis.call('HGET', numbers, term) or '0', tail(), redis.call('SCARD', entries), math.max(hold - now, 0)}
