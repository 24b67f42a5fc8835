-- Nodes whose lease has run out, with its end as the mark.
-- -> {address, mark, ...}
return redis.call('ZRANGEBYSCORE', leases, '-inf', string.format('%.0f', now_ms), 'WITHSCORES', 'LIMIT', '0', '1024')
