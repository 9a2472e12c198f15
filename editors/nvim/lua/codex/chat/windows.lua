-- The windows of the chat: in each tab page at most one transcript, with its input below.

local M = {}

local api = vim.api

---@class codex.chat.Windows
---@field view codex.chat.View
---@field transcript integer
---@field input integer
---@field own_tab boolean? the tab page was made for them

---@type table<integer, codex.chat.Windows> by tab page
local by_tab = {}

local MIN_COLUMNS = 40

---@param window integer?
---@param buffer integer?
---@return boolean
local function shows(window, buffer)
  return window ~= nil
    and buffer ~= nil
    and api.nvim_win_is_valid(window)
    and api.nvim_win_get_buf(window) == buffer
end

---@param window integer
---@param options table<string, any>
local function set(window, options)
  for name, value in pairs(options) do
    -- Local to this buffer in this window: another buffer that is opened there has its own.
    api.nvim_set_option_value(name, value, { scope = 'local', win = window })
  end
end

--- How a window with a transcript looks.
---@param window integer
function M.dress(window)
  set(window, {
    wrap = true,
    linebreak = true,
    breakindent = true,
    smoothscroll = true,
    number = false,
    relativenumber = false,
    signcolumn = 'no',
    foldcolumn = '0',
    cursorline = false,
    cursorcolumn = false,
    colorcolumn = '',
    list = false,
    spell = false,
    scrolloff = 0,
    foldmethod = 'manual',
    foldenable = true,
    foldtext = "v:lua.require'codex.chat.folds'.text()",
    fillchars = 'fold: ,eob: ',
    winbar = "%{%v:lua.require'codex.chat.winbar'.get()%}",
    winhighlight = 'Folded:CodexFold',
    winfixwidth = true,
  })
  if vim.go.statusline == '' and vim.o.laststatus ~= 3 then
    set(window, { statusline = ' %=%P ' })
  end
end

---@param window integer
local function dress_input(window)
  set(window, {
    wrap = true,
    linebreak = true,
    number = false,
    relativenumber = false,
    signcolumn = 'no',
    foldcolumn = '0',
    cursorline = false,
    cursorcolumn = false,
    colorcolumn = '',
    list = false,
    scrolloff = 0,
    fillchars = 'eob: ',
    winfixheight = true,
    winfixwidth = true,
  })
  if vim.go.statusline == '' and vim.o.laststatus ~= 3 then
    set(window, { statusline = ' <CR> send  <C-c> stop  @ file  g? keys' })
  end
end

---@param size number a part of the whole, or a number
---@param whole integer
---@param least integer
---@return integer
local function share(size, whole, least)
  local wanted = size < 1 and math.floor(whole * size) or math.floor(size)
  return math.max(1, math.min(math.max(wanted, least), whole - 10))
end

--- The floating windows' places.
---@param lines integer of the input
---@return table transcript, table input
local function floats(lines)
  local config = require('codex.config').get()
  local border = config.approval.border
  local width = math.max(20, math.floor((vim.o.columns - 4) * 0.8))
  local height = math.max(3, math.floor((vim.o.lines - 4) * 0.9) - lines - 4)
  local column = math.floor((vim.o.columns - width - 2) / 2)
  local transcript = {
    relative = 'editor',
    width = width,
    height = height,
    row = 0,
    col = column,
    border = border,
    zindex = 40,
  }
  return transcript, vim.tbl_extend('force', transcript, { height = lines, row = height + 2 })
end

---@param buffer integer
---@param input integer
---@return integer transcript, integer input, boolean own_tab
local function make(buffer, input)
  local chat = require('codex.config').get().chat
  local lines = math.max(1, math.min(chat.input_lines, math.floor(vim.o.lines / 3)))
  if chat.position == 'float' then
    local above, below = floats(lines)
    return api.nvim_open_win(buffer, false, above), api.nvim_open_win(input, true, below), false
  end
  local window
  if chat.position == 'tab' then
    vim.cmd('tab sbuffer ' .. buffer)
    window = api.nvim_get_current_win()
  elseif chat.position == 'bottom' then
    local height = share(chat.size, vim.o.lines - 2, lines + 5)
    window = api.nvim_open_win(buffer, false, { split = 'below', win = -1, height = height })
  else
    local width = share(chat.size, vim.o.columns, MIN_COLUMNS)
    window = api.nvim_open_win(buffer, false, { split = chat.position, win = -1, width = width })
  end
  local below = api.nvim_open_win(input, true, { split = 'below', win = window, height = lines })
  return window, below, chat.position == 'tab'
end

--- The chat of this tab page, if all of it is there.
---@return codex.chat.Windows?
function M.here()
  local windows = by_tab[api.nvim_get_current_tabpage()]
  if windows and shows(windows.transcript, windows.view.buffer) then
    return windows
  end
end

--- The view that this tab page has shown last, whether or not it does now.
---@return codex.chat.View?
function M.view()
  local windows = by_tab[api.nvim_get_current_tabpage()]
  return windows and windows.view
end

--- Show a view in this tab page, with the cursor in the input.
---@param view codex.chat.View
function M.show(view)
  local tab = api.nvim_get_current_tabpage()
  local windows = by_tab[tab]
  local buffer, input = view:ensure(), view.input:ensure()
  if windows and shows(windows.transcript, windows.view.buffer or buffer) then
    if not shows(windows.input, windows.view.input.buffer or input) then
      local lines = require('codex.config').get().chat.input_lines
      windows.input = api.nvim_open_win(
        input,
        true,
        { split = 'below', win = windows.transcript, height = lines }
      )
    end
    windows.view = view
    api.nvim_win_set_buf(windows.transcript, buffer)
    api.nvim_win_set_buf(windows.input, input)
  else
    M.close()
    local transcript, below, own_tab = make(buffer, input)
    tab = api.nvim_get_current_tabpage()
    windows = { view = view, transcript = transcript, input = below, own_tab = own_tab }
    by_tab[tab] = windows
    M.watch(tab, windows)
  end
  M.dress(windows.transcript)
  dress_input(windows.input)
  require('codex.chat.folds').restore(view.transcript, windows.transcript)
  require('codex.chat.tails').show_end(windows.transcript, buffer)
  api.nvim_set_current_win(windows.input)
end

--- Fit floating windows to a screen that has another size.
---@param windows codex.chat.Windows
local function place(windows)
  local transcript, input = windows.transcript, windows.input
  if api.nvim_win_is_valid(transcript) and api.nvim_win_is_valid(input) then
    if api.nvim_win_get_config(transcript).relative ~= '' then
      local above, below = floats(api.nvim_win_get_height(input))
      api.nvim_win_set_config(transcript, above)
      api.nvim_win_set_config(input, below)
    end
  end
end

--- Close the input with its transcript; follow the size of the screen.
---@param tab integer
---@param windows codex.chat.Windows
function M.watch(tab, windows)
  local resized = api.nvim_create_autocmd('VimResized', {
    callback = function()
      place(windows)
    end,
  })
  api.nvim_create_autocmd('WinClosed', {
    pattern = tostring(windows.transcript),
    once = true,
    callback = function()
      api.nvim_del_autocmd(resized)
      vim.schedule(function()
        if shows(windows.input, windows.view.input.buffer) then
          M.close_window(windows.input)
        end
        if not api.nvim_tabpage_is_valid(tab) then
          by_tab[tab] = nil
        end
      end)
    end,
  })
end

--- Close a window; if nothing else is left, it shows an empty buffer instead.
---@param window integer
function M.close_window(window)
  if not api.nvim_win_is_valid(window) then
    return
  end
  local tab = api.nvim_win_get_tabpage(window)
  local others = vim.tbl_filter(function(other)
    return other ~= window and api.nvim_win_get_config(other).relative == ''
  end, api.nvim_tabpage_list_wins(tab))
  local is_float = api.nvim_win_get_config(window).relative ~= ''
  if #others == 0 and not is_float and #api.nvim_list_tabpages() == 1 then
    api.nvim_win_call(window, function()
      vim.cmd.enew()
    end)
  else
    api.nvim_win_close(window, true)
  end
end

--- Close the chat of this tab page. The session goes on.
function M.close()
  local windows = by_tab[api.nvim_get_current_tabpage()]
  if not windows then
    return
  end
  vim.cmd.stopinsert()
  local view = windows.view
  if shows(windows.input, view.input.buffer) then
    M.close_window(windows.input)
  end
  if shows(windows.transcript, view.buffer) then
    M.close_window(windows.transcript)
  end
end

--- Put the cursor into the input, if the chat is open here.
---@param insert boolean?
---@return boolean
function M.focus(insert)
  local windows = M.here()
  if not windows then
    return false
  end
  if not shows(windows.input, windows.view.input.buffer) then
    M.show(windows.view)
  end
  api.nvim_set_current_win(windows.input)
  if insert then
    vim.cmd('startinsert!')
  end
  return true
end

return M
