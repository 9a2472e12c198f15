-- What the server sees of buffers: all files of its project that are open, as they are on screen.

local M = {}

--- Larger files are read from disk by the server: a message with all of it would block Neovim.
local MAX_BYTES = 16 * 1024 * 1024

---@type table<integer, string> the roots by client
local roots = {}

--- Whether a path is a folder or in it.
---@param path string
---@param root string
local function within(path, root)
  return path == root or vim.startswith(path, root == '/' and '/' or root .. '/')
end

--- Whether a buffer is a file of a project.
---@param buffer integer
---@param root string
local function belongs(buffer, root)
  if not vim.api.nvim_buf_is_loaded(buffer) or vim.bo[buffer].buftype ~= '' then
    return false
  end
  local name = vim.api.nvim_buf_get_name(buffer)
  if not vim.startswith(name, '/') and not name:match('^%a:[/\\]') then
    return false -- no name, or another scheme than a file's
  end
  local size = vim.api.nvim_buf_get_offset(buffer, vim.api.nvim_buf_line_count(buffer))
  -- A folder may have been named through a link.
  local path = vim.fs.normalize(name)
  return size <= MAX_BYTES
    and (within(path, root) or within(vim.uv.fs_realpath(path) or path, root))
end

---@param buffer integer
local function attach(buffer)
  for client_id, root in pairs(roots) do
    if not vim.lsp.get_client_by_id(client_id) then
      roots[client_id] = nil
    elseif belongs(buffer, root) and not vim.lsp.buf_is_attached(buffer, client_id) then
      vim.lsp.buf_attach_client(buffer, client_id)
    end
  end
end

--- Attach the files of a project to a client, those that are open and those to come.
---@param root string
---@param client_id integer
function M.attach_all(root, client_id)
  roots[client_id] = root
  -- BufFilePost: a new name; BufWritePost: a new buffer gets its name as it is written.
  local events = { 'BufReadPost', 'BufNewFile', 'BufFilePost', 'BufWritePost' }
  vim.api.nvim_create_autocmd(events, {
    group = vim.api.nvim_create_augroup('codex.documents', { clear = true }),
    callback = function(event)
      attach(event.buf)
    end,
  })
  for _, buffer in ipairs(vim.api.nvim_list_bufs()) do
    attach(buffer)
  end
end

--- Ask something; the answer's number. Waits, in the coroutine that Neovim handles requests in, and
--- for whoever types to be done, whose next key would be the answer.
---@param question string
---@param answers string[]
---@return integer?
local function ask(question, answers)
  local thread = assert(coroutine.running())
  local function put()
    vim.ui.select(answers, { prompt = question }, function(_, index)
      -- A select that answers at once must not resume what has not yielded yet.
      vim.schedule(function()
        coroutine.resume(thread, index)
      end)
    end)
  end
  if vim.api.nvim_get_mode().mode:match('^n') then
    put()
  else
    require('codex.notify').warn(question .. ' You are asked when you are back in normal mode.')
    vim.api.nvim_create_autocmd('ModeChanged', {
      pattern = '*:n',
      once = true,
      callback = vim.schedule_wrap(put),
    })
  end
  return coroutine.yield()
end

--- The buffers with changes among files, by URI, and what they are called.
---@param uris string[]
---@return table<string, integer> buffers, string[] names
local function modified(uris)
  local buffers, names = {}, {}
  for _, uri in ipairs(uris) do
    local path = vim.uri_to_fname(uri)
    for _, buffer in ipairs(vim.api.nvim_list_bufs()) do
      if vim.bo[buffer].modified and vim.api.nvim_buf_get_name(buffer) == path then
        buffers[uri] = buffer
        table.insert(names, vim.fn.fnamemodify(path, ':~:.'))
      end
    end
  end
  return buffers, names
end

--- Save files, the person being asked if the server says so: `codex/saveDocuments`.
---@param params {uris: string[], ask: boolean}
---@return {saved: string[]}
function M.save(params)
  local buffers, names = modified(params.uris)
  if #names > 0 and params.ask then
    local question = ('codex runs a command; save %s first?'):format(table.concat(names, ', '))
    if ask(question, { 'Save', 'Leave unsaved' }) ~= 1 then
      return { saved = {} }
    end
    buffers = modified(params.uris) -- a while has passed
  end
  local saved = {}
  for _, uri in ipairs(params.uris) do
    local fine, problem = true, nil
    if buffers[uri] then
      fine, problem = pcall(vim.api.nvim_buf_call, buffers[uri], function()
        vim.cmd('silent write')
      end)
    end
    if fine then
      table.insert(saved, uri)
    else
      local name = vim.fn.fnamemodify(vim.uri_to_fname(uri), ':~:.')
      require('codex.notify').warn(('%s was not saved: %s'):format(name, problem))
    end
  end
  return { saved = saved }
end

--- Take the empty line away that Neovim leaves at the end of a file that an edit has made: its new
--- buffer has a line already before the text is put into it.
---@param edit lsp.WorkspaceEdit
function M.end_created(edit)
  for _, change in ipairs(edit.documentChanges or {}) do
    local buffer = change.kind == 'create' and vim.fn.bufnr(vim.uri_to_fname(change.uri)) or -1
    if buffer > 0 and vim.api.nvim_buf_line_count(buffer) > 1 then
      local last = vim.api.nvim_buf_get_lines(buffer, -2, -1, true)[1]
      if last == '' then
        vim.api.nvim_buf_set_lines(buffer, -2, -1, true, {})
      end
    end
  end
end

return M
