-- The journal from a position on: what stands there, and what follows.
-- ARGV: position, how many
return redis.call('XRANGE', journal, ARGV[2], '+', 'COUNT', ARGV[3])
