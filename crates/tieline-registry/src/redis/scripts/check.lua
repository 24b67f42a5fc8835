-- Whether this server serves: run once on each new connection. Calls every command that the scripts
-- use, without effect, so that a replica, a server older than 5 and a missing permission all show here.
-- Nothing may be left where a later command is refused, so what deletes comes before what writes.
-- -> OK
redis.call('HDEL', owns, '')
redis.call('SREM', mine, '')
redis.call('ZREM', leases, '')
redis.call('HLEN', places)
redis.call('HSCAN', places, '0', 'COUNT', '1')
redis.call('HGET', owns, '')
redis.call('HGETALL', nodes)
redis.call('SCARD', mine)
redis.call('SSCAN', mine, '0', 'COUNT', '1')
redis.call('SPOP', mine, '0')
redis.call('ZSCORE', leases, '')
redis.call('ZRANGEBYSCORE', leases, '0', '0', 'LIMIT', '0', '1')
redis.call('HSET', owns, '', '')
redis.call('HDEL', owns, '')
redis.call('SADD', mine, '')
redis.call('SREM', mine, '')
redis.call('ZADD', leases, '0', '')
redis.call('ZREM', leases, '')
local us = redis.call('GET', clock)
if not us or tonumber(us) < tonumber(now_us) then us = now_us end
redis.call('SET', clock, us)
return 'OK'
