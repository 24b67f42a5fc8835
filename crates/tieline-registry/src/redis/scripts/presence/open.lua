-- Begins a term.
-- ARGV: term, time to live and lease in ms
-- -> {OK, number of the last put, tail} | {LOST}
local term = ARGV[2]
if redis.call('SISMEMBER', buried, term) == 1 then return {'LOST'} end
redis.call('ZADD', terms, text(now + ARGV[3]), term)
if tail() == '' then
  set_pulse(now + ARGV[4])
  tell('!', '', '', '', 0)
end
return {'OK', redis.call('HGET', numbers, term) or '0', tail()}
