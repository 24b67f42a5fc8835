-- Takes the dispatcher's place; with a position, keeps it, and remembers that.
-- ARGV: term, position reached, or ''
-- -> {OK, position} | {RESET, position} there was none | {BUSY} | {LOST}
local term, reached = ARGV[2], ARGV[3]
local by, at = redis.call('HGET', hook, 'by'), redis.call('HGET', hook, 'at')
if not redis.call('ZSCORE', terms, term) then return {'LOST'} end
if reached ~= '' then
  if by ~= term then return {'LOST'} end
  redis.call('HSET', hook, 'at', reached)
  return {'OK', reached}
end
if by and by ~= term and redis.call('ZSCORE', terms, by) then return {'BUSY'} end
redis.call('HSET', hook, 'by', term)
if at then return {'OK', at} end
local first = redis.call('XRANGE', journal, '-', '+', 'COUNT', '1')[1]
-- The whole journal still stands: nothing is left out from its mark on.
if first and string.sub(first[2][3], 1, 1) == '!' then return {'RESET', first[1]} end
return {'RESET', tail()}
