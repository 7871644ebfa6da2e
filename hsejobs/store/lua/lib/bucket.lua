-- The histogram bucket of a duration: four per octave.
local function bucket(us)
  return math.floor(4 * math.log(math.max(0, us) + 1) / 0.6931471805599453)
end
