-- Counts a flow, or changes what is counted for it, if no limit is exceeded.
-- KEYS: leases, this PCM's flows, the account, the epoch
-- ARGV: PCM, flow, rate, peak rate; the most flows, rate, peak rate, each empty for no limit; the epoch
-- Returns 0, or the number of the limit exceeded (1 flows, 2 rate, 3 peak rate), or -1 if the PCM has
-- no lease, -2 if this is another epoch, -3 if nothing new is granted yet.
local leases, flows, account = KEYS[1], KEYS[2], KEYS[3]
local pcm, flow = ARGV[1], ARGV[2]
local wanted = {1, tonumber(ARGV[3]), tonumber(ARGV[4])}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local epoch = redis.call('HMGET', KEYS[4], 'id', 'settles')
if epoch[1] ~= ARGV[8] then return -2 end
local settles = now < tonumber(epoch[2])

local living = {}
local function lives(it)
  if living[it] == nil then
    local lease = redis.call('ZSCORE', leases, it)
    living[it] = lease and tonumber(lease) >= now or false
  end
  return living[it]
end
if not lives(pcm) then return -1 end

-- What all living PCMs count; what the dead ones counted is gone.
local names = {n = 1, r = 2, p = 3}
local held = {0, 0, 0}
local fields = redis.call('HGETALL', account)
for i = 1, #fields, 2 do
  local owner, name = string.match(fields[i], '^(.*):(%a)$')
  if lives(owner) then
    held[names[name]] = held[names[name]] + tonumber(fields[i + 1])
  else
    redis.call('HDEL', account, fields[i])
  end
end

local before = {0, 0, 0}
local rate, peak
local old = redis.call('HGET', flows, flow)
if old then
  rate, peak = string.match(old, '^(%d+) (%d+) ')
  before = {1, tonumber(rate), tonumber(peak)}
end
for i = 1, 3 do
  local most = tonumber(ARGV[4 + i])
  local after = held[i] - before[i] + wanted[i]
  if most and after > held[i] then
    if after > most then return i end
    if settles then return -3 end
  end
end

-- Integers of 64 bits are exact in HINCRBY, unlike in Lua.
if old then
  redis.call('HINCRBY', account, pcm .. ':r', '-' .. rate)
  redis.call('HINCRBY', account, pcm .. ':p', '-' .. peak)
else
  redis.call('HINCRBY', account, pcm .. ':n', 1)
end
redis.call('HINCRBY', account, pcm .. ':r', ARGV[3])
redis.call('HINCRBY', account, pcm .. ':p', ARGV[4])
redis.call('HSET', flows, flow, ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. account)
return 0
