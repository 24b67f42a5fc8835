-- Checks that this server can be used; runs once on each new connection. It calls every command of the
-- other scripts, without effect, so that it fails on a replica, on a server older than 5, and if a
-- permission is missing. The deletions come first: if the permission to delete is missing, nothing has
-- been written that would stay.
-- -> the cluster's clock, in µs
local absent = '\0'
redis.call('HDEL', shadows, absent)
redis.call('SREM', node_ids, absent)
redis.call('ZREM', leases, '')
redis.call('HLEN', entries)
redis.call('HSCAN', entries, '0', 'COUNT', '1')
redis.call('HGET', shadows, '')
redis.call('HGETALL', nodes)
redis.call('SCARD', node_ids)
redis.call('SSCAN', node_ids, '0', 'COUNT', '1')
redis.call('SPOP', node_ids, '0')
redis.call('SISMEMBER', node_ids, '')
redis.call('SRANDMEMBER', node_ids)
local journal = string.gsub(leases, 'leases$', 'pj')
redis.call('XRANGE', journal, '+', '+', 'COUNT', '1')
redis.call('XREVRANGE', journal, '-', '-', 'COUNT', '1')
-- No stream takes this id, so nothing is added. The error about it names the command; that of a missing permission
-- does not, in capitals.
local refused = redis.pcall('XADD', journal, '0-0', 'k', '')
if not string.find(refused.err, 'XADD', 1, true) then return refused end
redis.call('ZSCORE', leases, '')
redis.call('ZRANGEBYSCORE', leases, '0', '0', 'LIMIT', '0', '1')
redis.call('HSETNX', shadows, absent, '')
redis.call('HSET', shadows, absent, '')
redis.call('HDEL', shadows, absent)
redis.call('SADD', node_ids, absent)
redis.call('SREM', node_ids, absent)
redis.call('ZADD', leases, '0', '')
redis.call('ZREM', leases, '')
redis.call('SET', clock, text(now_us))
redis.call('SETRANGE', clock, '0', '')
redis.call('PTTL', clock)
return text(now_us)
