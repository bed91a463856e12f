-- Give up one launch. ARGV: ticket, reason.
local template = redis.call('HGET', ticket_key(ARGV[1]), 'template')
cancel(ARGV[1], ARGV[2])
if template then stir(template) end
return 1
