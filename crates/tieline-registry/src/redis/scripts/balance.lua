-- Entries of the shared layout minus those that Tieline wrote. Apart from the renewal, because the entries may
-- not exist.
-- -> the difference
entries = KEYS[5]
local epochs = redis.call('HGET', shadows, '') and 1 or 0
return redis.call('HLEN', entries) - redis.call('HLEN', shadows) + epochs
