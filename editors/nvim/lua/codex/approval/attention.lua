-- When a question may open by itself: only where nothing that is typed can become its answer.

local M = {}

--- How long nothing may have been typed.
M.QUIET_MS = 600
--- How long the keys of a window that came up by itself do nothing yet.
M.ARM_MS = 400

local last_key_ms = 0
local watches = false

--- Watch what is typed, and call when it may be time for a question: the person has come to the
--- chat, or back to normal mode.
---@param fn fun()
function M.watch(fn)
  if watches then
    return
  end
  watches = true
  vim.on_key(function()
    last_key_ms = vim.uv.now()
  end, vim.api.nvim_create_namespace('codex.approval.keys'))
  vim.api.nvim_create_autocmd({ 'ModeChanged', 'WinEnter' }, {
    group = vim.api.nvim_create_augroup('codex.approval', { clear = true }),
    callback = function(event)
      if event.event ~= 'ModeChanged' or event.match:find(':n$') then
        fn()
      end
    end,
  })
end

--- Whether the cursor is in the chat, and keys are commands there.
---@return boolean
function M.in_chat()
  local mode = vim.api.nvim_get_mode()
  return mode.mode == 'n'
    and not mode.blocking
    and vim.fn.getcmdwintype() == ''
    and vim.bo.filetype:find('^codex') ~= nil
    and vim.bo.filetype ~= 'codex_approval'
end

--- Whether nothing was typed for a while.
---@return boolean
function M.is_quiet()
  return vim.uv.now() - last_key_ms >= M.QUIET_MS
end

return M
