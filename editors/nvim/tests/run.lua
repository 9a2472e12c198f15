-- Runs specs in a real Neovim, without any test plugin:
--   nvim --headless --clean -n -i NONE -u tests/minimal_init.lua \
--     -l tests/run.lua [FILE...] [--only TEXT]
-- Specs are written with describe, it, before_each and after_each, and check with T.

local here = vim.fn.fnamemodify(debug.getinfo(1, 'S').source:sub(2), ':p:h')
package.path = ('%s/?.lua;%s'):format(here, package.path)

---@class spec
---@field name string
---@field fn function
---@field before function[]
---@field after function[]

---@type spec[]
local specs = {}
local names = {}
local hooks = { before = {}, after = {} }

function _G.describe(name, fn)
  local before, after = #hooks.before, #hooks.after
  table.insert(names, name)
  fn()
  table.remove(names)
  hooks.before = vim.list_slice(hooks.before, 1, before)
  hooks.after = vim.list_slice(hooks.after, 1, after)
end

function _G.before_each(fn)
  table.insert(hooks.before, fn)
end

function _G.after_each(fn)
  table.insert(hooks.after, fn)
end

function _G.it(name, fn)
  local parts = vim.list_extend(vim.deepcopy(names), { name })
  table.insert(specs, {
    name = table.concat(parts, ' '),
    fn = fn,
    before = vim.list_slice(hooks.before),
    after = vim.list_slice(hooks.after),
  })
end

_G.T = {}

---@param value any
local function shown(value)
  local text = vim.inspect(value)
  return #text <= 3000 and text or text:sub(1, 3000) .. ' ...'
end

--- Complain unless two values are alike.
function T.eq(want, got)
  if not vim.deep_equal(want, got) then
    error(('expected %s\n     got %s'):format(shown(want), shown(got)), 2)
  end
end

--- Complain unless a text has a plain text in it.
function T.has(part, text)
  if not tostring(text):find(part, 1, true) then
    error(('%q is not in %q'):format(part, tostring(text)), 2)
  end
end

--- Complain if a text has a plain text in it.
function T.lacks(part, text)
  if tostring(text):find(part, 1, true) then
    error(('%q is in %q'):format(part, tostring(text)), 2)
  end
end

--- Complain unless a text matches a Lua pattern.
function T.match(pattern, text)
  if not tostring(text):find(pattern) then
    error(('%q does not match %q'):format(tostring(text), pattern), 2)
  end
end

--- Wait until something is there, while everything else goes on; what it is.
---@param condition fun(): any
---@param what string|fun():string|nil what is waited for, for the complaint
---@param timeout_ms integer?
function T.wait(condition, what, timeout_ms)
  local found
  local done = vim.wait(timeout_ms or 30000, function()
    found = condition()
    return found and true or false
  end, 5)
  if not done then
    what = type(what) == 'function' and what() or what
    error('waited in vain' .. (what and (' for ' .. what) or ''), 2)
  end
  return found
end

local files, only = {}, nil
do
  local i = 1
  while arg[i] do
    if arg[i] == '--only' then
      only = arg[i + 1]
      i = i + 1
    else
      table.insert(files, arg[i])
    end
    i = i + 1
  end
  if #files == 0 then
    files = vim.fn.sort(vim.fn.glob(here .. '/*_spec.lua', true, true))
  end
end

local passed, failed = 0, 0

local function say(...)
  io.stdout:write(table.concat({ ... }), '\n')
  io.stdout:flush()
end

for _, file in ipairs(files) do
  local chunk, problem = loadfile(file)
  local ok = chunk ~= nil
  if chunk then
    ok, problem = xpcall(chunk, debug.traceback)
  end
  if not ok then
    failed = failed + 1
    say('FAIL ', file, '\n', problem)
  end
end

local support = require('support')

---@param spec spec
local function run(spec)
  local ok, problem = true, nil
  local function try(fn)
    local fine, trouble = xpcall(fn, debug.traceback)
    if not fine and ok then
      ok, problem = false, trouble
    end
  end
  for _, fn in ipairs(spec.before) do
    if ok then
      try(fn)
    end
  end
  if ok then
    try(spec.fn)
  end
  local state = not ok and support.state() or nil
  for _, fn in ipairs(spec.after) do
    try(fn)
  end
  try(support.clean)
  return ok, problem, state
end

for _, spec in ipairs(specs) do
  if not only or spec.name:find(only, 1, true) then
    local began = vim.uv.hrtime()
    local ok, problem, state = run(spec)
    local took_s = (vim.uv.hrtime() - began) / 1e9
    if ok then
      passed = passed + 1
      say(('ok   %s (%.2f s)'):format(spec.name, took_s))
    else
      failed = failed + 1
      say(('FAIL %s (%.2f s)\n%s\n%s'):format(spec.name, took_s, problem, state or ''))
    end
  end
end

say(('%d passed, %d failed'):format(passed, failed))
if passed + failed == 0 then
  say('no spec ran')
  failed = 1
end
os.exit(failed == 0 and 0 or 1, false)
