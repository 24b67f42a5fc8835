-- Entries of the shared layout minus those that Tieline wrote. Apart from the renewal, because the entries may
-- not exist.
-- -> the difference
entries = KEYS[5]
local count = redis.call('HGET', shadows, UNSHARED)
local others = (redis.call('HGET', shadows, '') and 1 or 0) + (count and (tonumber(count) or 0) + 1 or 0)
return redis.call('HLEN', entries) - redis.call('HLEN', shadows) + others
