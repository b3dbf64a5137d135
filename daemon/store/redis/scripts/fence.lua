-- SPDX-License-Identifier: ISC
-- First of every script but hello.lua: a command of an earlier connection, of a node that a flush
-- made us forget, or of a time that is over does nothing at all.
--   KEYS[1] fence of the node   ARGV[1] its value   ARGV[2] not after (ms)   ARGV[3] the time, 0: TIME
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'STALE'} end
