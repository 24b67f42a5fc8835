-- The nodes whose lease has expired, up to 1,024. The mark is the end of the lease.
-- -> {address, mark, ...}
return redis.call('ZRANGEBYSCORE', leases, '-inf', text(math.floor(now_us / 1000)), 'WITHSCORES', 'LIMIT', '0', '1024')
