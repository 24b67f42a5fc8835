-- Some of the rosters with members.
-- ARGV: cursor, about how many
-- -> {next cursor, rosters}
return redis.call('SSCAN', rosters, ARGV[2], 'COUNT', ARGV[3])
