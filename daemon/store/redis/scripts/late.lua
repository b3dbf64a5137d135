if now > tonumber(ARGV[2]) then return {'LATE', now} end
