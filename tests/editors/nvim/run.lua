-- Runs one case:  nvim --headless --clean -l run.lua CASE [argument...]
-- Exits with 0 if it went well; else the reason is on stderr.

local here = vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p:h')
local Child = dofile(here .. '/child.lua')

--- Complain unless two values are alike.
function Same(want, got)
  if not vim.deep_equal(want, got) then
    error(('expected %s\ngot %s'):format(vim.inspect(want), vim.inspect(got)), 2)
  end
end

local case = assert(dofile(here .. '/cases.lua')[arg[1]], 'there is no such case')
local child = Child.start(here)
local ok, problem = xpcall(function()
  case(child, unpack(arg, 2))
  Same({ code = 0, signal = 0 }, child:stop())
end, debug.traceback)
if not ok then
  io.stderr:write(problem, '\n')
end
os.exit(ok and 0 or 1, true)
