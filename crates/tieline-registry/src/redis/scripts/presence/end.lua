-- Lets a term end in some ms, or at once.
-- ARGV: term, ms
local term = ARGV[2]
if not redis.call('ZSCORE', terms, term) then return 0 end
if ARGV[3] == '0' then
  redis.call('ZREM', terms, term)
  redis.call('SADD', buried, term)
else
  redis.call('ZADD', terms, text(now + ARGV[3]), term)
end
return 1
