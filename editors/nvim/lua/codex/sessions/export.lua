-- A saved session as a file that people or programs read.

local M = {}

local FORMATS = { { 'markdown', 'md' }, { 'html', 'html' }, { 'json', 'json' } }

---@param summary codex.sessions.Summary
---@param format string
---@param default string
---@param done codex.sessions.Done
local function to(summary, format, default, done)
  vim.ui.input({ prompt = 'To: ', default = default, completion = 'file' }, function(path)
    if not path or vim.trim(path) == '' then
      done(false)
      return
    end
    path = vim.fn.fnamemodify(vim.fn.expand(vim.trim(path)), ':p')
    local params = { sessionId = summary.sessionId, format = format, path = path }
    require('codex.server').get():request('session/export', params, function(err, result)
      if err then
        require('codex.notify').error(err, 'The session was not exported')
      else
        require('codex.notify').info('exported to ' .. result.path)
      end
      done(false)
    end)
  end)
end

--- Write a session into a file: ask for the format and the path.
---@param summary codex.sessions.Summary
---@param done codex.sessions.Done
function M.ask(summary, done)
  vim.ui.select(FORMATS, {
    prompt = 'Export as',
    kind = 'codex.export',
    format_item = function(format)
      return format[1]
    end,
  }, function(format)
    if not format then
      done(false)
      return
    end
    local title = require('codex.sessions.list').title(summary)
    local name = title:lower():gsub('[^%w]+', '-'):gsub('^%-+', ''):gsub('%-+$', ''):sub(1, 40)
    local default = ('%s/%s.%s'):format(
      vim.fn.getcwd(),
      name ~= '' and name or 'session',
      format[2]
    )
    to(summary, format[1], default, done)
  end)
end

return M
