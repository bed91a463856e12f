-- List the lasting launches that wait, which says nothing of whether somebody still does.
-- Returns {ticket, template, place} of each.
local answer = {}
for _, template in ipairs(redis.call('SMEMBERS', P .. 'templates')) do
  for i, ticket in ipairs(redis.call('ZRANGE', queue_key(template), 0, -1)) do
    if redis.call('HGET', ticket_key(ticket), 'lasting') == '1' then
      table.insert(answer, {ticket, template, i})
    end
  end
end
return answer
