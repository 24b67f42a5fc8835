-- The nodes whose lease has expired, up to 1,024. The mark is the end of the lease.
-- -> {address, mark, ...}
return redis.call('ZRANGEBYSCORE', leases, '-inf', string.format('%.0f', now_ms), 'WITHSCORES', 'LIMIT', '0', '1024')
