-- Highlight groups of the chat, all of them links that a colour scheme or a person can set anew,
-- and Markdown in its buffers.

local M = {}

---@type table<string, string>
M.LINKS = {
  CodexUser = 'Title',
  CodexAgent = 'Title',
  CodexCall = 'Function',
  CodexCommand = 'String',
  CodexPath = 'Directory',
  CodexText = 'Normal',
  CodexReasoning = 'Comment',
  CodexHint = 'Comment',
  CodexWaiting = 'Comment',
  CodexAsks = 'DiagnosticWarn',
  CodexDone = 'DiagnosticOk',
  CodexFailed = 'DiagnosticError',
  CodexError = 'DiagnosticError',
  CodexWarning = 'DiagnosticWarn',
  CodexAdded = 'Added',
  CodexRemoved = 'Removed',
  CodexHunk = 'Comment',
  CodexPlanNow = 'DiagnosticInfo',
  CodexFold = 'Normal',
  CodexRunning = 'DiagnosticInfo',
}

--- Define them, again after a change of the colour scheme.
function M.define()
  for name, target in pairs(M.LINKS) do
    vim.api.nvim_set_hl(0, name, { link = target, default = true })
  end
  vim.api.nvim_create_autocmd('ColorScheme', {
    group = vim.api.nvim_create_augroup('codex.chat.highlights', { clear = true }),
    callback = M.define,
  })
end

--- Have a buffer read as Markdown, whatever its file type: by the parser that comes with Neovim,
--- and without one by the syntax file.
---@param buffer integer
function M.markdown(buffer)
  vim.treesitter.language.register('markdown', { 'codex', 'codex_input' })
  if not pcall(vim.treesitter.start, buffer, 'markdown') then
    vim.bo[buffer].syntax = 'markdown'
  end
end

return M
