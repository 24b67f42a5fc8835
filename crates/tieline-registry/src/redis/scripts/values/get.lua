-- Reads a value and its time in one step.
-- KEYS: the value, and no other
-- -> {value or nil, ms left}
local key = KEYS[1]

-- A write that changes nothing, as in the prelude of the other scripts: a master that has become a replica would answer
-- from outdated data. One that accepts no writes for now still answers reads.
local guard = redis.pcall('SETRANGE', key, '0', '')
if type(guard) == 'table' and not string.find(guard.err, 'MISCONF')
  and not string.find(guard.err, 'NOREPLICAS') and not string.find(guard.err, 'OOM') then
  return guard
end
return {redis.call('GET', key), redis.call('PTTL', key)}
