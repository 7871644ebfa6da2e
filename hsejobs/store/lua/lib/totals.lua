-- Sums that never fall: a minute's counters as fields of `totals`.
local TOTAL = { ad = 1, c = 1, f = 1, rt = 1, rm = 1, st = 1, us = 1, wu = 1 }

-- Adds a minute to `sums`. `code_of` returns the field of a code's failures.
local function sum_minute(flat, sums, code_of)
  local failed, coded = 0, 0
  for i = 1, #flat, 2 do
    local number = whole(flat[i + 1], 0)
    local name = string.match(flat[i], '^(%l+%d*)|') or flat[i]
    if name == 'f' then failed = failed + number end
    if string.sub(name, 1, 3) == 'fc:' then
      coded = coded + number
      name = code_of(name)
    elseif not TOTAL[name] and not string.match(name, '^[rw]%d+$') then
      name = nil
    end
    if name then sums[name] = (sums[name] or 0) + number end
  end
  -- Programs of older releases count no codes.
  if failed > coded then sums['fc:unknown'] = (sums['fc:unknown'] or 0) + failed - coded end
end
