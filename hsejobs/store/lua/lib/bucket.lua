-- The counter of a duration: a letter and the histogram bucket, four per octave. The jobs of a batch have few of them.
local buckets, floor, log = { r = {}, w = {} }, math.floor, math.log
local function bucket(letter, us)
  local at = us > 0 and floor(4 * log(us + 1) / 0.6931471805599453) or 0
  local name = buckets[letter][at]
  if not name then
    name = letter .. int(at)
    buckets[letter][at] = name
  end
  return name
end
