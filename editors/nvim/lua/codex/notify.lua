-- What a person is told outside of the chat.

local M = {}

--- What fits into the command line, if somebody types: a longer text would wait for a key, and take
--- the one that is meant for the file. The whole one is in the log.
---@param text string
---@return string
local function fitting(text)
  local room = vim.o.columns * math.max(vim.o.cmdheight, 1) - 12
  local typing = not vim.api.nvim_get_mode().mode:match('^n')
  local line = text:gsub('%s*\n%s*', ' ')
  if not typing or #line <= room then
    return typing and line or text
  end
  local hint = ' … :CodexLog'
  return vim.fn.strcharpart(line, 0, math.max(room - vim.fn.strchars(hint), 20)) .. hint
end

---@param text string
---@param level integer one of `vim.log.levels`
local function say(text, level)
  vim.schedule(function()
    vim.notify(fitting(text), level, { title = 'codex' })
  end)
end

--- Say an error as loud as its code is, and log it.
---@param err codex.Error|string
---@param before string? what was tried, such as `'The session cannot be opened'`
function M.error(err, before)
  local errors = require('codex.errors')
  if type(err) == 'string' then
    err = { code = 0, message = err }
  end
  local text = before and ('%s: %s'):format(before, err.message) or err.message
  require('codex.log').write(('%s: %s'):format(errors.name(err.code), text))
  say('codex: ' .. text, errors.level(err.code))
end

---@param text string
function M.warn(text)
  require('codex.log').write(text)
  say('codex: ' .. text, vim.log.levels.WARN)
end

---@param text string
function M.info(text)
  require('codex.log').write(text)
  say('codex: ' .. text, vim.log.levels.INFO)
end

return M
